// The official OpenAI SDK for Node.js, with nothing changed but the base URL. Run by gateway.py, which sets CROSSDOCK_URL.
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.CROSSDOCK_URL}/v1`, apiKey: "x", maxRetries: 0 });
const messages = [{ role: "user", content: "What is the tide in Brest?" }];
const tool = {
  type: "function",
  function: {
    name: "get_tide",
    parameters: { type: "object", properties: { port: { type: "string" } }, required: ["port"], additionalProperties: false },
  },
};

test("chat, plain", async () => {
  const answer = await client.chat.completions.create({ model: "chat", messages });
  assert.match(answer.choices[0].message.content, /^\[simulated\]/);
  assert.match(answer._request_id, /^req_/);
});

test("chat, streamed, is the plain answer", async () => {
  const plain = await client.chat.completions.create({ model: "chat", messages });
  const stream = await client.chat.completions.create({ model: "chat", messages, stream: true });
  let text = "";
  for await (const chunk of stream) {
    assert.ok(!("usage" in chunk));
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  assert.equal(text, plain.choices[0].message.content);
});

test("the streaming helper sees usage that was asked for", async () => {
  const stream = client.chat.completions.stream({ model: "chat", messages, stream_options: { include_usage: true } });
  assert.ok((await stream.totalUsage()).total_tokens > 0);
});

test("tool call, streamed", async () => {
  const stream = await client.chat.completions.create({ model: "chat", messages, tools: [tool], tool_choice: "required", stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.tool_calls?.[0]?.function?.arguments ?? "";
  assert.equal(typeof JSON.parse(text).port, "string");
});

test("responses, plain and streamed", async () => {
  const plain = await client.responses.create({ model: "chat", input: "What is the tide?" });
  const types = [];
  let text = "";
  for await (const event of await client.responses.create({ model: "chat", input: "What is the tide?", stream: true })) {
    types.push(event.type);
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(text, plain.output_text);
  assert.equal(types.at(-1), "response.completed");
});

test("embeddings come as floats through base64", async () => {
  const [a] = (await client.embeddings.create({ model: "chat", input: "a" })).data;
  const [b] = (await client.embeddings.create({ model: "chat", input: "a", encoding_format: "float" })).data;
  assert.equal(a.embedding.length, b.embedding.length);
  a.embedding.forEach((x, i) => assert.ok(Math.abs(x - b.embedding[i]) < 1e-5));
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("chat"));
});

test("errors keep their class", async () => {
  // a model of its own each: what is at its limits is not asked for a while
  const ask = (fault) => client.chat.completions.create({ model: `sim/${fault.replaceAll(";", "-")}`, messages }, { headers: { "x-sim": `fault=${fault}` } });
  await assert.rejects(ask("rate_limit;retry_after=3s"), (e) => e instanceof OpenAI.RateLimitError && e.headers.get("retry-after") === "3");
  await assert.rejects(ask("status;status=503"), OpenAI.InternalServerError);
  await assert.rejects(ask("status;status=400"), OpenAI.BadRequestError);
  await assert.rejects(client.chat.completions.create({ model: "nope", messages }), OpenAI.NotFoundError);
});

test("a stream that breaks is an error", async () => {
  const stream = await client.chat.completions.create(
    { model: "chat", messages, stream: true },
    { headers: { "x-sim": "fault=break_stream;after_tokens=3" } },
  );
  await assert.rejects(async () => {
    for await (const chunk of stream) assert.ok(chunk);
  }, OpenAI.APIError);
});

test("aborting a stream ends it at once", async () => {
  const stream = await client.chat.completions.create({ model: "paced", messages, stream: true });
  let seen = 0;
  for await (const chunk of stream) {
    assert.ok(chunk);
    if (++seen === 3) stream.controller.abort();
  }
  assert.ok(seen < 100);
});

test("fifty at once", async () => {
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      client.chat.completions.create({ model: "chat", messages: [{ role: "user", content: `number ${i}` }] }),
    ),
  );
  answers.forEach((answer, i) => assert.match(answer.choices[0].message.content, new RegExp(`number ${i}\\b`)));
});
