// Anthropic's SDKs for Node.js for those that host Claude (Amazon Bedrock, Vertex AI, Microsoft Foundry), to models of every vendor.
import assert from "node:assert/strict";
import test from "node:test";
import AnthropicBedrock from "@anthropic-ai/bedrock-sdk";
import AnthropicFoundry from "@anthropic-ai/foundry-sdk";
import Anthropic from "@anthropic-ai/sdk";
import { AnthropicVertex } from "@anthropic-ai/vertex-sdk";
import { OAuth2Client } from "google-auth-library";
import { argumentNames, aws, coded, forcing, key, parameters, question, url, vendors } from "./vendors.mjs";

const messages = [{ role: "user", content: question }];
const tools = [{ name: "get_tide", description: "Tide height", input_schema: parameters }];
const textOf = (message) => message.content.map((block) => block.text ?? "").join("");

function bedrock(secret = aws.secretAccessKey) {
  const credentials = { awsAccessKey: aws.accessKeyId, awsSecretKey: secret, awsRegion: "eu-west-1" };
  return new AnthropicBedrock({ baseURL: url, maxRetries: 0, ...credentials });
}

function vertex(token = key) {
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: token });
  return new AnthropicVertex({ baseURL: `${url}/v1`, projectId: "p", region: "europe-west1", authClient, maxRetries: 0 });
}

const foundry = (apiKey = key) => new AnthropicFoundry({ baseURL: `${url}/anthropic`, apiKey, maxRetries: 0 });

for (const [host, connect] of Object.entries({ bedrock, vertex, foundry })) {
  const client = connect();
  for (const model of vendors) {
    test(`anthropic for ${host} > ${model}: a stream is the plain answer`, async () => {
      const plain = await client.messages.create({ model, max_tokens: 500, messages });
      assert.match(textOf(plain), /^\[simulated\]/);
      const types = [];
      let text = "";
      for await (const event of await client.messages.create({ model, max_tokens: 500, messages, stream: true })) {
        types.push(event.type);
        text += event.delta?.text ?? "";
      }
      assert.equal(text, textOf(plain));
      assert.equal(types[0], "message_start");
      assert.equal(types.at(-1), "message_stop");
      assert.ok(types.length > 7, "a stream in one piece");
    });

    test(`anthropic for ${host} > ${model}: agent, streamed`, { skip: !forcing.includes(model) }, async () => {
      const asked = [...messages];
      for (const result of ["3.2 m", "4.1 m"]) {
        const stream = client.messages.stream({ model, max_tokens: 500, messages: asked, tools, tool_choice: { type: "any" } });
        const said = await stream.finalMessage();
        const use = said.content.find((block) => block.type === "tool_use");
        assert.deepEqual(Object.keys(use.input).sort(), argumentNames);
        assert.equal(said.stop_reason, "tool_use");
        asked.push({ role: "assistant", content: said.content });
        asked.push({ role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: result }] });
      }
      const final = await client.messages.create({ model, max_tokens: 500, messages: asked, tools, tool_choice: { type: "none" } });
      assert.ok(textOf(final));
      assert.equal(final.stop_reason, "end_turn");
    });

    test(`anthropic for ${host} > ${model}: errors have their class`, async () => {
      const ask = (fault, stream) => client.messages.create({ model: `${model}-${fault}`, max_tokens: 99, messages, stream });
      await assert.rejects(ask("refused", false), Anthropic.BadRequestError);
      await assert.rejects(ask("limited", true), Anthropic.RateLimitError);
      await assert.rejects(ask("failing", false), Anthropic.InternalServerError);
    });

    test(`anthropic for ${host} > ${model}: a stream that breaks is an error`, async () => {
      const stream = client.messages.stream({ model: `${model}-broken`, max_tokens: 99, messages });
      await assert.rejects(stream.finalMessage());
    });
  }

  test(`anthropic for ${host}: credential, model, a model whose name must be coded`, async () => {
    const ask = (from, model) => from.messages.create({ model, max_tokens: 99, messages });
    await assert.rejects(ask(connect("wrong"), "openai"), (e) => [401, 403].includes(e.status));
    await assert.rejects(ask(client, "nope"), Anthropic.NotFoundError);
    assert.ok(textOf(await ask(client, coded)));
  });
}
