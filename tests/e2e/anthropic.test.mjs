// The official Anthropic SDK for Node.js, to models of every vendor.
import assert from "node:assert/strict";
import test from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { argumentNames, forcing, key, parameters, question, results, url, vendors } from "./vendors.mjs";

const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 });
const messages = [{ role: "user", content: question }];
const tools = [{ name: "get_tide", description: "Tide height", input_schema: parameters }];
const textOf = (message) => message.content.map((block) => block.text ?? "").join("");

for (const model of vendors) {
  test(`anthropic > ${model}: a stream is the plain answer`, async () => {
    const plain = await client.messages.create({ model, max_tokens: 500, messages });
    assert.match(textOf(plain), /^\[simulated\]/);
    assert.ok(plain._request_id);
    const stream = client.messages.stream({ model, max_tokens: 500, messages });
    const final = await stream.finalMessage();
    assert.equal(textOf(final), textOf(plain));
    assert.equal(final.stop_reason, "end_turn");
  });

  test(`anthropic > ${model}: agent of two rounds, streamed`, { skip: !forcing.includes(model) }, async () => {
    const asked = [...messages];
    for (const content of results) {
      const said = await client.messages.stream({ model, max_tokens: 500, messages: asked, tools, tool_choice: { type: "any" } }).finalMessage();
      const use = said.content.find((block) => block.type === "tool_use");
      assert.deepEqual(Object.keys(use.input).sort(), argumentNames);
      asked.push({ role: "assistant", content: said.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content }] });
    }
    const final = await client.messages.create({ model, max_tokens: 500, messages: asked, tools, tool_choice: { type: "none" } });
    assert.ok(textOf(final).includes(results.at(-1)));
    assert.equal(final.stop_reason, "end_turn");
  });

  test(`anthropic > ${model}: errors have their class`, async () => {
    const ask = (fault) => client.messages.create({ model: `${model}-${fault}`, max_tokens: 99, messages });
    await assert.rejects(ask("refused"), Anthropic.BadRequestError);
    const told = (e) => ["1", "2"].includes(e.headers.get("retry-after")); // less where another test was told already; Bedrock cannot say it
    await assert.rejects(ask("limited"), (e) => e instanceof Anthropic.RateLimitError && (model === "bedrock" || told(e)));
    await assert.rejects(ask("failing"), Anthropic.InternalServerError);
  });

  test(`anthropic > ${model}: a stream that breaks is an error`, async () => {
    const stream = client.messages.stream({ model: `${model}-broken`, max_tokens: 99, messages });
    await assert.rejects(stream.finalMessage(), Anthropic.AnthropicError);
  });
}

test("anthropic: key, model, models, tokens", async () => {
  const stranger = new Anthropic({ baseURL: url, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.messages.create({ model: "openai", max_tokens: 9, messages }), Anthropic.AuthenticationError);
  await assert.rejects(client.messages.create({ model: "nope", max_tokens: 9, messages }), Anthropic.NotFoundError);
  const ids = [];
  for await (const model of client.models.list({ limit: 2 })) ids.push(model.id);
  vendors.forEach((vendor) => assert.ok(ids.includes(vendor), vendor));
  assert.ok((await client.messages.countTokens({ model: "openai", messages })).input_tokens > 0);
});
