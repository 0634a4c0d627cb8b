"""The schema registry that `crossdock serve` has beside the gateway."""

import re

import httpx
import yaml
from gateway import Process
from test_cli import run

AS = {"content-type": "application/vnd.schemaregistry.v1+json"}
SCHEMA = {"schemaType": "JSON", "schema": '{"type":"object","properties":{"n":{"type":"number"}},"additionalProperties":false}'}
OTHER = {"schemaType": "JSON", "schema": '{"type":"object","properties":{"n":{"type":"string"}},"additionalProperties":false}'}


def write(folder, **registry):
    config = {
        "listen": "127.0.0.1:0",
        "admin": "off",
        "log": {"format": "json", "access": "off"},
        "providers": {"p": {"simulate": True, "serves": "*"}},
        "registry": {"path": "schemas.db", "listen": "127.0.0.1:0"} | registry,
    }
    path = folder / "crossdock.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


class Served(Process):
    def __init__(self, path):
        super().__init__("serve", "--config", str(path), address=r"schemas registry=(https?://[^\s\"]+)")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.stop() == 0


def test_schemas_are_registered_at_the_serving_process_and_stay(tmp_path):
    path = write(tmp_path)
    with Served(path) as s:
        assert httpx.post(s.url + "/subjects/case/versions", json=SCHEMA, headers=AS).json() == {"id": 1}
        refused = httpx.post(s.url + "/subjects/case/versions", json=OTHER, headers=AS)
        assert (refused.status_code, refused.json()["error_code"]) == (409, 409)
        gateway = re.search(r"listening url=(http://[^\s\"]+)", "".join(s.lines)).group(1)
        assert httpx.get(gateway + "/subjects").status_code == 404, "clients of the gateway see the registry"
    with Served(path) as s:
        assert httpx.get(s.url + "/subjects/case/versions/latest").json()["schema"] == SCHEMA["schema"]


def test_a_name_and_a_password_are_asked_for(tmp_path):
    with Served(write(tmp_path, user="tools", password="open sesame")) as s:
        assert httpx.get(s.url + "/subjects").status_code == 401
        assert httpx.get(s.url + "/subjects", auth=("tools", "other")).status_code == 401
        assert httpx.get(s.url + "/subjects", auth=("tools", "open sesame")).json() == []


def test_an_address_that_others_reach_takes_a_password(tmp_path):
    done = run("check", str(write(tmp_path, listen="0.0.0.0:8081")))
    assert done.returncode != 0 and '"user" and "password"' in done.stdout + done.stderr
    done = run("check", str(write(tmp_path, user="tools")))
    assert done.returncode != 0 and "go together" in done.stdout + done.stderr
