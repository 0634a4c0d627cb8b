"""The schema registry, asked by the client that programs for Kafka use, and by plain HTTP where that client asks nothing."""

import base64
import json
import urllib.error
import urllib.request

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from gateway import Process

ONE = {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}, "required": ["id"]}
WIDER = {"type": "object", "properties": {"id": {"type": "number"}, "name": {"type": "string"}}, "required": ["id"]}
NARROWER = {"type": "object", "properties": {"id": {"type": "integer", "minimum": 0}}, "required": ["id", "name"]}


class Registry:
    def __init__(self, path, *arguments):
        self.path = path
        self.arguments = arguments
        self.start()

    def start(self):
        self.process = Process("registry", "--data", str(self.path), "--listen", "127.0.0.1:0", *self.arguments,
                               address=r"at (http://[^/\s]+)")  # fmt: skip
        self.url = self.process.url
        self.client = SchemaRegistryClient({"url": self.url})

    def stop(self):
        self.process.stop()

    def ask(self, method, path, body=None, headers=None):
        """Status and document."""
        request = urllib.request.Request(self.url + path, method=method, headers=headers or {})
        data = json.dumps(body).encode() if body is not None else None
        try:
            with urllib.request.urlopen(request, data, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as e:
            return e.code, json.load(e)

    def code(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        assert status == (answer["error_code"] if answer["error_code"] < 1000 else answer["error_code"] // 100)
        return answer["error_code"]


@pytest.fixture
def registry(tmp_path):
    r = Registry(tmp_path / "registry.db")
    yield r
    r.stop()


def schema(document):
    return Schema(json.dumps(document), "JSON")


def error(call, *arguments, **named):
    with pytest.raises(SchemaRegistryError) as e:
        call(*arguments, **named)
    return e.value.error_code


def test_versions_are_registered_found_and_survive_a_restart(registry):
    c = registry.client
    first = c.register_schema("orders-value", schema(ONE))
    assert c.register_schema("orders-value", schema(ONE)) == first
    assert c.register_schema("other", schema(json.loads(json.dumps(ONE, indent=4)))) == first  # blanks mean nothing
    second = c.register_schema("orders-value", schema(WIDER))
    assert second != first
    registry.stop()
    registry.start()
    c = registry.client
    assert c.get_subjects() == ["orders-value", "other"]
    assert c.get_versions("orders-value") == [1, 2]
    latest = c.get_latest_version("orders-value")
    assert (latest.version, latest.schema_id, json.loads(latest.schema.schema_str), latest.schema.schema_type) == (2, second, WIDER, "JSON")
    assert json.loads(c.get_schema(first).schema_str) == ONE
    found = c.lookup_schema("orders-value", schema(ONE))
    assert (found.version, found.schema_id) == (1, first)
    assert error(c.lookup_schema, "other", schema(WIDER)) == 40403
    assert error(c.get_latest_version, "none") == 40401
    assert error(c.get_version, "orders-value", 3) == 40402
    assert error(c.get_schema, 99) == 40403
    assert registry.ask("GET", f"/schemas/ids/{first}/subjects") == (200, ["orders-value", "other"])
    assert registry.ask("GET", f"/schemas/ids/{second}/versions") == (200, [{"subject": "orders-value", "version": 2}])
    assert registry.ask("GET", f"/schemas/ids/{first}/schema") == (200, ONE)
    assert registry.ask("GET", "/subjects/orders-value/versions/1/schema") == (200, ONE)
    assert registry.ask("GET", "/subjects?subjectPrefix=or") == (200, ["orders-value"])


def test_what_does_not_go_with_earlier_versions_is_refused_by_the_level_of_the_subject(registry):
    c = registry.client
    c.register_schema("s", schema(ONE))
    assert c.get_compatibility() == "BACKWARD"
    assert error(c.register_schema, "s", schema(NARROWER)) == 409
    assert not c.test_compatibility("s", schema(NARROWER))
    assert c.test_compatibility("s", schema(WIDER))
    status, verdict = registry.ask("POST", "/compatibility/subjects/s/versions?verbose=true", {"schema": json.dumps(NARROWER), "schemaType": "JSON"})
    assert (status, verdict["is_compatible"]) == (200, False) and "version 1" in verdict["messages"][0]
    c.set_compatibility(subject_name="s", level="FORWARD")
    assert c.get_compatibility("s") == "FORWARD"
    assert not c.test_compatibility("s", schema(WIDER))
    c.set_compatibility(level="NONE")
    assert c.get_compatibility() == "NONE"
    assert error(c.register_schema, "s", schema(WIDER)) == 409
    assert registry.ask("DELETE", "/config/s") == (200, {"compatibilityLevel": "FORWARD"})
    assert error(c.get_compatibility, "s") == 40408
    assert registry.ask("GET", "/config/s?defaultToGlobal=true") == (200, {"compatibilityLevel": "NONE"})
    c.register_schema("s", schema(NARROWER))
    assert error(c.set_compatibility, level="SOMETIMES") == 42203


def test_transitive_levels_look_at_all_versions(registry):
    text = {"type": "object", "properties": {"a": {"type": "string"}}}
    either = {"type": "object", "properties": {"a": {"type": ["string", "number"]}}}
    number = {"type": "object", "properties": {"a": {"type": ["number"]}}}
    c = registry.client
    c.set_compatibility(subject_name="s", level="NONE")
    for one in (text, number):
        c.register_schema("s", schema(one))
    c.set_compatibility(subject_name="s", level="BACKWARD")
    assert c.test_compatibility("s", schema(number | {"title": "t"}))
    c.set_compatibility(subject_name="s", level="BACKWARD_TRANSITIVE")
    ask = ("POST", "/compatibility/subjects/s/versions")
    assert registry.ask(*ask, {"schema": json.dumps(number | {"title": "t"}), "schemaType": "JSON"})[1] == {"is_compatible": False}
    assert registry.ask(*ask, {"schema": json.dumps(either), "schemaType": "JSON"})[1] == {"is_compatible": True}


def test_what_is_deleted_is_hidden_first_and_its_number_is_not_given_again(registry):
    c = registry.client
    first = c.register_schema("s", schema(ONE))
    c.register_schema("s", schema(WIDER))
    assert error(c.delete_version, "s", 1, permanent=True) == 40407
    assert c.delete_version("s", 1) == 1
    assert registry.code("DELETE", "/subjects/s/versions/1") == 40406
    assert c.get_versions("s") == [2]
    assert registry.ask("GET", "/subjects/s/versions?deleted=true") == (200, [1, 2])
    assert registry.code("GET", "/subjects/s/versions/1") == 40402
    assert registry.ask("GET", "/subjects/s/versions/1?deleted=true")[1]["id"] == first
    assert json.loads(c.get_schema(first).schema_str) == ONE  # who reads old messages still can
    c.set_compatibility(level="NONE")
    again = {"schema": json.dumps(ONE), "schemaType": "JSON"}  # the client would not even ask
    assert registry.ask("POST", "/subjects/s/versions", again) == (200, {"id": first})
    assert c.get_versions("s") == [2, 3]
    assert registry.code("DELETE", "/subjects/s?permanent=true") == 40405
    assert c.delete_version("s", 1, permanent=True) == 1
    assert c.register_schema("s", schema(NARROWER)) > first
    assert c.get_versions("s") == [2, 3, 4]
    assert c.delete_subject("s") == [2, 3, 4]
    assert registry.code("DELETE", "/subjects/s") == 40404
    assert c.get_subjects() == []
    assert c.get_subjects(deleted=True) == ["s"]
    assert registry.ask("DELETE", "/subjects/s?permanent=true") == (200, [2, 3, 4])
    assert registry.code("GET", "/subjects/s/versions?deleted=true") == 40401


def test_modes_keep_a_registry_as_it_is_or_take_another_ones_ids(registry):
    one = {"schema": json.dumps(ONE), "schemaType": "JSON", "id": 77, "version": 5}
    assert registry.ask("GET", "/mode") == (200, {"mode": "READWRITE"})
    assert registry.code("POST", "/subjects/s/versions", one) == 42205
    assert registry.ask("PUT", "/mode/s", {"mode": "IMPORT"}) == (200, {"mode": "IMPORT"})
    assert registry.ask("POST", "/subjects/s/versions", one) == (200, {"id": 77})
    assert registry.ask("GET", "/subjects/s/versions") == (200, [5])
    taken = {"schema": json.dumps(WIDER), "schemaType": "JSON", "id": 77, "version": 6}
    assert registry.code("POST", "/subjects/s/versions", taken) == 42205
    assert registry.code("POST", "/subjects/s/versions", taken | {"id": 78, "version": 5}) == 42205
    assert registry.ask("PUT", "/mode", {"mode": "READONLY"})[0] == 200
    assert registry.code("POST", "/subjects/t/versions", {"schema": json.dumps(ONE), "schemaType": "JSON"}) == 42205
    assert registry.ask("DELETE", "/mode/s")[0] == 200
    assert registry.code("GET", "/mode/s") == 40409
    assert registry.code("PUT", "/mode", {"mode": "IMPORT"}) == 42205  # there are subjects
    assert registry.code("PUT", "/mode", {"mode": "SOMEHOW"}) == 42204


def test_what_is_no_schema_is_refused(registry):
    def register(body, subject="s"):
        return registry.code("POST", f"/subjects/{subject}/versions", body)

    assert register({"schema": '{"type": "nothing"}', "schemaType": "JSON"}) == 42201
    assert register({"schema": "{", "schemaType": "JSON"}) == 42201
    assert register({"schemaType": "JSON"}) == 42201
    assert register({"schema": '"string"'}) == 42201  # AVRO, if nobody says
    assert register({"schema": json.dumps(ONE), "schemaType": "JSON"}, subject="a%07") == 42208
    assert registry.code("GET", "/subjects/s/versions/0") == 42202
    assert registry.code("GET", "/subjects/s/versions/x") == 42202
    assert registry.code("GET", "/nothing") == 404
    assert registry.code("PUT", "/subjects") == 405
    assert registry.ask("GET", "/subjects") == (200, [])
    assert registry.ask("GET", "/schemas/types") == (200, ["JSON"])
    assert registry.ask("GET", "/") == (200, {})
    assert registry.ask("GET", "/subjects/a%2Fb/versions")[1]["message"] == "Subject 'a/b' not found."


def test_a_serialiser_registers_and_a_deserialiser_reads_by_the_id_in_the_message(registry):
    context = SerializationContext("orders", MessageField.VALUE)
    write = JSONSerializer(json.dumps(ONE | {"title": "order"}), registry.client)
    data = write({"id": 5, "name": "x"}, context)
    assert data[0] == 0 and int.from_bytes(data[1:5]) == registry.client.get_latest_version("orders-value").schema_id
    read = JSONDeserializer(None, schema_registry_client=SchemaRegistryClient({"url": registry.url}))
    assert read(data, context) == {"id": 5, "name": "x"}


def test_a_password_is_asked_for(tmp_path):
    (tmp_path / "password").write_text("a secret\n", encoding="utf-8")
    r = Registry(tmp_path / "registry.db", "--user", "me", "--password-file", str(tmp_path / "password"))
    try:
        assert r.code("GET", "/subjects") == 40101
        wrong = base64.b64encode(b"me:another").decode()
        assert r.ask("GET", "/subjects", headers={"authorization": f"Basic {wrong}"})[0] == 401
        right = base64.b64encode(b"me:a secret").decode()
        assert r.ask("GET", "/subjects", headers={"authorization": f"Basic {right}"}) == (200, [])
        client = SchemaRegistryClient({"url": r.url, "basic.auth.user.info": "me:a secret"})
        assert client.get_subjects() == []
    finally:
        r.stop()
