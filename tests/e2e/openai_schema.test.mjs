// Every answer in OpenAI's words, whoever gave it, validates against the schema that OpenAI publishes: as it is on the wire, without an SDK
// in between, and with nothing in it that the schema does not have.
import assert from "node:assert/strict";
import test from "node:test";
import { eventTypes, extended, violations } from "./openai_schema.mjs";
import { forcing, key, parameters, question, url, vendors } from "./vendors.mjs";

const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: question }];
const named = (name) => ({ name, description: "Measures", parameters });
const chatTools = (...names) => names.map((name) => ({ type: "function", function: named(name) }));
const responseTools = (...names) => names.map((name) => ({ type: "function", ...named(name), strict: true }));
const format = { type: "json_schema", name: "tide", schema: parameters, strict: true };
const chatFormat = { type: "json_schema", json_schema: { name: "tide", schema: parameters, strict: true } };
const both = "call get_tide and call get_wind";
// What makes simulated vendors decline: Anthropic's own word, and the simulator's for the others.
const declined = "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL_1FAEFB6177B4672DEE07F9D3AFC62588CCD2631EDCF22E8CCC1FB35B501C9C86 SIMULATE_BLOCKED_ANSWER";
const declining = ["anthropic", "gemini"];
// Speaks Chat Completions itself, so that its bytes are handed on: without this member, as it is.
const relayed = (model, chat) => (model === "ollama" ? { ...chat, choices: chat.choices.map((c) => ({ ...c, message: { refusal: null, ...c.message } })) } : chat);
const unfailing = "tgi"; // looks at no model's name, and so has no model that fails
const embedders = vendors.filter((vendor) => !["anthropic", "bedrock"].includes(vendor));

// kind: the body's additions, and how the answer must end
const chats = {
  text: [{}, "stop"],
  cut: [{ max_tokens: 5 }, "length"],
  "stop sequence": [{ stop: ["."] }, "stop"],
  tool: [{ tools: chatTools("get_tide"), tool_choice: "required", parallel_tool_calls: false }, "tool_calls", 1],
  "parallel tools": [{ messages: [{ role: "user", content: both }], tools: chatTools("get_tide", "get_wind") }, "tool_calls", 2],
  json: [{ response_format: chatFormat }, "stop"],
  reasoning: [{ reasoning_effort: "high" }, "stop"],
  choices: [{ n: 2 }, "stop"],
  declined: [{ messages: [{ role: "user", content: declined }] }, "content_filter"],
};
const responses = {
  text: [{}],
  cut: [{ max_output_tokens: 16 }, "incomplete"],
  tool: [{ tools: responseTools("get_tide"), tool_choice: "required", parallel_tool_calls: false }, "completed", 1],
  "parallel tools": [{ input: both, tools: responseTools("get_tide", "get_wind") }, "completed", 2],
  json: [{ text: { format } }],
  reasoning: [{ reasoning: { effort: "high", summary: "auto" } }],
  declined: [{ input: declined }, "incomplete"],
  "not stored": [{ store: false, metadata: { port: "Brest" }, instructions: "Be brief." }],
};

function applies(vendor, kind, calls) {
  if (kind === "declined") return declining.includes(vendor);
  return !calls || forcing.includes(vendor);
}

function valid(kind, tree) {
  const found = violations(kind, tree);
  assert.ok(found.length === 0, `not a valid ${kind}:\n${found.join("\n")}\n${JSON.stringify(tree)}`);
  return tree;
}

// Only who thinks has something that this API has no member for; Gemini 3 always does.
function unextended(model, kind, tree) {
  if (kind === "reasoning" || model === "gemini") return;
  for (const name of extended) assert.ok(!JSON.stringify(tree).includes(`"${name}":`), name);
}

async function ask(path, body, expected = 200) {
  const options = body ? { method: "POST", body: JSON.stringify(body) } : {};
  const answer = await fetch(url + path, { headers, ...options });
  const text = await answer.text();
  assert.ok([expected].flat().includes(answer.status), `${answer.status}: ${text}`);
  return JSON.parse(text);
}

// The events of a stream, [name, data] each; the data of the last one may be no JSON.
async function askStream(path, body) {
  const answer = await fetch(url + path, { method: "POST", headers, body: JSON.stringify({ ...body, stream: true }) });
  const blocks = (await answer.text()).split("\n\n");
  assert.equal(answer.status, 200, blocks[0]);
  assert.match(answer.headers.get("content-type"), /^text\/event-stream/);
  assert.equal(blocks.pop(), "", "the last event is not closed");
  return blocks
    .map((block) => Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)])))
    .filter((fields) => fields.data !== undefined)
    .map(({ event, data }) => [event, data]);
}

async function askChunks(path, body) {
  const events = await askStream(path, body);
  assert.equal(events.pop()[1], "[DONE]");
  return events.map(([, data]) => JSON.parse(data));
}

async function askEvents(body) {
  const events = (await askStream("/v1/responses", body)).filter(([, data]) => data !== "[DONE]");
  return events.map(([name, data]) => {
    const event = valid("event", JSON.parse(data));
    assert.equal(name, event.type);
    return event;
  });
}

const without = (tree, name) => Object.fromEntries(Object.entries(tree).filter(([member]) => member !== name));

// Every member of `tree` that can be taken away, changed or joined by another; `change` makes a new tree with another value in its place.
function places(tree, change = (value) => value, path = "") {
  if (tree === null || typeof tree !== "object") return [];
  const inner = Object.entries(tree).flatMap(([name, value]) => {
    const put = (v) => change(Array.isArray(tree) ? tree.map((old, i) => (String(i) === name ? v : old)) : { ...tree, [name]: v });
    return places(value, put, `${path}/${name}`);
  });
  return Array.isArray(tree) ? inner : [{ path, tree, change }, ...inner];
}

test("schema: what a type requires may not be missing, what it lacks may not be there, and values have their types", async () => {
  const chat = valid("chat", await ask("/v1/chat/completions", { model: "anthropic", messages, tools: chatTools("get_tide"), tool_choice: "required" }));
  const call = "/choices/0/message/tool_calls/0";
  const required = {
    "": ["id", "choices", "created", "model", "object"],
    "/choices/0": ["finish_reason", "index", "logprobs", "message"],
    "/choices/0/message": ["content", "refusal", "role"],
    [call]: ["id", "function", "type"],
    [`${call}/function`]: ["arguments", "name"],
    "/usage": ["completion_tokens", "prompt_tokens", "total_tokens"],
  };
  const found = new Map(places(chat).map((place) => [place.path, place]));
  for (const [path, names] of Object.entries(required)) {
    const { tree, change } = found.get(path);
    for (const name of names) {
      assert.ok(violations("chat", change(without(tree, name))).length, `${path}/${name} may be missing`);
      assert.ok(violations("chat", change({ ...tree, [name]: { more: 1 } })).length, `${path}/${name} may be anything`);
    }
    assert.ok(violations("chat", change({ ...tree, unheard_of: 1 })).length, `${path} may have any member`);
  }
  assert.ok(violations("chat", { ...chat, choices: [{ ...chat.choices[0], finish_reason: "end_turn" }] }).length);
  assert.ok(violations("chat", { ...chat, id: null }).length);
});

test("schema: of each event of a stream, no member that it requires may be missing", async () => {
  assert.ok(eventTypes.includes("response.completed") && eventTypes.length > 40);
  const events = await askEvents({ model: "anthropic", input: question, reasoning: { effort: "high", summary: "auto" } });
  for (const event of events) {
    for (const name of ["type", "sequence_number"]) assert.ok(violations("event", without(event, name)).length, `${event.type} without ${name}`);
    assert.ok(violations("event", { ...event, unheard_of: 1 }).length, event.type);
    if (event.response) {
      for (const name of ["output", "error", "incomplete_details", "parallel_tool_calls", "tools"])
        assert.ok(violations("event", { ...event, response: without(event.response, name) }).length, `${event.type} without ${name}`);
    }
  }
  assert.ok(violations("event", { type: "response.unheard_of", sequence_number: 1 }).length);
});

for (const model of [...vendors, unfailing]) {
  for (const [kind, [more, end, calls]] of Object.entries(chats)) {
    const body = { model, messages, ...more };
    const skip = !applies(model, kind, calls);

    test(`schema: chat > ${model}: ${kind}`, { skip }, async () => {
      const answer = await ask("/v1/chat/completions", body);
      const { choices, usage } = valid("chat", relayed(model, answer));
      unextended(model, kind, answer);
      assert.deepEqual(choices.map((choice) => choice.finish_reason), Array(more.n ?? 1).fill(end));
      assert.equal(choices[0].message.tool_calls?.length, calls);
      assert.ok(usage);
    });

    test(`schema: chat > ${model}: ${kind}, streamed`, { skip }, async () => {
      const chunks = await askChunks("/v1/chat/completions", { ...body, stream_options: { include_usage: true } });
      chunks.forEach((chunk) => valid("chunk", chunk));
      unextended(model, kind, chunks);
      const choices = chunks.flatMap((chunk) => chunk.choices);
      assert.deepEqual(choices.map((choice) => choice.finish_reason).filter(Boolean), Array(more.n ?? 1).fill(end));
      assert.equal(new Set(choices.flatMap((choice) => choice.delta.tool_calls ?? []).map((call) => call.index)).size, calls ?? 0);
      assert.ok(chunks.at(-1).usage);
    });
  }

  for (const [kind, [more, end = "completed", calls]] of Object.entries(responses)) {
    const body = { model, input: question, ...more };
    const skip = !applies(model, kind, calls);
    const callsOf = ({ output }) => output.filter((item) => item.type === "function_call").length;

    test(`schema: responses > ${model}: ${kind}`, { skip }, async () => {
      const answer = valid("response", await ask("/v1/responses", body));
      assert.equal(answer.status, end);
      assert.equal(callsOf(answer), calls ?? 0);
    });

    test(`schema: responses > ${model}: ${kind}, streamed`, { skip }, async () => {
      const events = await askEvents(body);
      assert.equal(events.at(-1).type, `response.${end}`);
      assert.equal(callsOf(events.at(-1).response), calls ?? 0);
      assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
    });
  }

  // OpenAI keeps its own responses; the simulated one does so for each event loop apart, and there is more than one here.
  test(`schema: responses > ${model}: continued, and got again with its input`, { skip: model === "openai" }, async () => {
    const first = valid("response", await ask("/v1/responses", { model, input: question, store: true }));
    const second = valid("response", await ask("/v1/responses", { model, input: "And in Roscoff?", previous_response_id: first.id }));
    const events = await askEvents({ model, input: "And in Morlaix?", previous_response_id: second.id });
    assert.equal(events.at(-1).type, "response.completed");
    assert.equal(valid("response", await ask(`/v1/responses/${second.id}`)).id, second.id);
    assert.ok(valid("items", await ask(`/v1/responses/${second.id}/input_items`)).data.length > 0);
  });

  test(`schema: completions > ${model}`, async () => {
    const body = { model, prompt: "Once upon a time", max_tokens: 50 };
    assert.ok(valid("completion", await ask("/v1/completions", body)).usage);
    const chunks = await askChunks("/v1/completions", { ...body, stream_options: { include_usage: true } });
    chunks.forEach((chunk) => valid("completionChunk", chunk));
    assert.ok(chunks.at(-1).usage);
  });

  test(`schema: embeddings > ${model}`, { skip: !embedders.includes(model) }, async () => {
    const body = { model, input: ["a", "b"] };
    assert.equal(valid("embeddings", await ask("/v1/embeddings", body)).data.length, 2);
    assert.equal(valid("codedEmbeddings", await ask("/v1/embeddings", { ...body, encoding_format: "base64" })).data.length, 2);
  });

  test(`schema: errors > ${model}`, { skip: model === unfailing }, async () => {
    const asked = { "chat/completions": { messages }, responses: { input: question }, completions: { prompt: question } };
    for (const [path, fields] of Object.entries(asked)) {
      const fail = (fault, status) => ask(`/v1/${path}`, { model: `${model}-${fault}`, ...fields }, status);
      valid("error", await fail("refused", 400));
      valid("error", await fail("limited", 429));
      valid("error", await fail("failing", [500, 502]));
    }
  });

  test(`schema: errors in mid-stream > ${model}`, { skip: model === unfailing }, async () => {
    const chunks = (await askStream("/v1/chat/completions", { model: `${model}-broken`, messages })).map(([, data]) => JSON.parse(data));
    valid("error", chunks.pop());
    assert.ok(chunks.length > 0);
    chunks.forEach((chunk) => valid("chunk", chunk));
    const events = await askEvents({ model: `${model}-broken`, input: question });
    assert.ok(["error", "response.failed"].includes(events.at(-1).type), events.at(-1).type);
  });
}

test("schema: models, and errors of the gateway's own", async () => {
  const ids = valid("models", await ask("/v1/models")).data.map((model) => model.id);
  vendors.forEach((vendor) => assert.ok(ids.includes(vendor), vendor));
  assert.equal(valid("model", await ask("/v1/models/anthropic")).id, "anthropic");
  valid("error", await ask("/v1/models/nope", undefined, 404));
  for (const path of ["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/completions"]) {
    valid("error", await ask(path, { model: "nope", messages, input: question, prompt: question }, 404));
    valid("error", await ask(path, {}, 400));
  }
  const stranger = await fetch(`${url}/v1/models`, { headers: { authorization: "Bearer wrong" } });
  assert.equal(stranger.status, 401);
  valid("error", await stranger.json());
});
