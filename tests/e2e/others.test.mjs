// The SDKs of Cohere, Hugging Face, Mistral and Ollama for Node.js, to models of every vendor.
import assert from "node:assert/strict";
import test from "node:test";
import { InferenceClient } from "@huggingface/inference";
import { Mistral } from "@mistralai/mistralai";
import { CohereClientV2, CohereError } from "cohere-ai";
import { Ollama } from "ollama";
import { argumentNames, forcing, key, parameters, question, results, url, vendors } from "./vendors.mjs";

const messages = [{ role: "user", content: question }];
const tools = [{ type: "function", function: { name: "get_tide", description: "Tide height", parameters } }];
const mistral = new Mistral({ serverURL: url, apiKey: key });
const cohere = new CohereClientV2({ baseUrl: url, environment: url, token: key });
const ollama = new Ollama({ host: url, headers: { authorization: `Bearer ${key}` } });
const huggingface = new InferenceClient(key, { endpointUrl: `${url}/v1` });
const once = { maxRetries: 0 };
const textOf = ({ content }) => (typeof content === "string" ? content : content.map((part) => part.text ?? "").join(""));

for (const model of vendors) {
  test(`mistral > ${model}: a stream is the plain answer`, async () => {
    const plain = await mistral.chat.complete({ model, messages });
    assert.match(plain.choices[0].message.content, /^\[simulated\]/);
    let text = "";
    for await (const { data } of await mistral.chat.stream({ model, messages })) text += data.choices[0]?.delta?.content ?? "";
    assert.equal(text, plain.choices[0].message.content);
  });

  test(`mistral > ${model}: agent of two rounds`, { skip: !forcing.includes(model) }, async () => {
    const asked = [...messages];
    for (const content of results) {
      const said = await mistral.chat.complete({ model, messages: asked, tools, toolChoice: "required" });
      const [call] = said.choices[0].message.toolCalls;
      const given = call.function.arguments;
      assert.deepEqual(Object.keys(typeof given === "string" ? JSON.parse(given) : given).sort(), argumentNames);
      asked.push(said.choices[0].message, { role: "tool", toolCallId: call.id, name: "get_tide", content });
    }
    const final = await mistral.chat.complete({ model, messages: asked, tools, toolChoice: "none" });
    assert.ok(textOf(final.choices[0].message).includes(results.at(-1)));
    assert.equal(final.choices[0].finishReason, "stop");
  });

  test(`mistral > ${model}: an error has its status`, async () => {
    await assert.rejects(mistral.chat.complete({ model: `${model}-limited`, messages }), { statusCode: 429 });
  });

  test(`cohere > ${model}: a stream is the plain answer`, async () => {
    const plain = await cohere.chat({ model, messages }, once);
    assert.match(textOf(plain.message), /^\[simulated\]/);
    let text = "";
    let last;
    for await (const event of await cohere.chatStream({ model, messages }, once)) {
      if (event.type === "content-delta") text += event.delta.message.content.text ?? "";
      last = event;
    }
    assert.equal(text, textOf(plain.message));
    assert.equal(last.type, "message-end");
    assert.equal(last.delta.finishReason, "COMPLETE");
  });

  test(`cohere > ${model}: agent of two rounds`, { skip: !forcing.includes(model) }, async () => {
    const asked = [...messages];
    for (const content of results) {
      const { message } = await cohere.chat({ model, messages: asked, tools, toolChoice: "REQUIRED" }, once);
      const [call] = message.toolCalls;
      assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)).sort(), argumentNames);
      asked.push({ role: "assistant", toolCalls: message.toolCalls, toolPlan: message.toolPlan }, { role: "tool", toolCallId: call.id, content });
    }
    const final = await cohere.chat({ model, messages: asked, tools, toolChoice: "NONE" }, once);
    assert.ok(textOf(final.message).includes(results.at(-1)));
    assert.equal(final.finishReason, "COMPLETE");
  });

  test(`cohere > ${model}: errors have their status`, async () => {
    const status = (code) => (e) => e instanceof CohereError && e.statusCode === code;
    await assert.rejects(cohere.chat({ model: `${model}-limited`, messages }, once), status(429));
    await assert.rejects(cohere.chat({ model: `${model}-refused`, messages }, once), status(400));
  });

  test(`huggingface > ${model}: a stream is the plain answer`, async () => {
    const plain = await huggingface.chatCompletion({ model, messages });
    assert.match(plain.choices[0].message.content, /^\[simulated\]/);
    let text = "";
    for await (const chunk of huggingface.chatCompletionStream({ model, messages })) text += chunk.choices[0]?.delta?.content ?? "";
    assert.equal(text, plain.choices[0].message.content);
    await assert.rejects(huggingface.chatCompletion({ model: `${model}-limited`, messages }), (e) => e.httpResponse.status === 429);
  });

  test(`huggingface > ${model}: agent of two rounds`, { skip: !forcing.includes(model) }, async () => {
    const asked = [...messages];
    for (const content of results) {
      const said = await huggingface.chatCompletion({ model, messages: asked, tools, tool_choice: "required" });
      const [call] = said.choices[0].message.tool_calls;
      assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)).sort(), argumentNames);
      asked.push(said.choices[0].message, { role: "tool", tool_call_id: call.id, content });
    }
    const final = await huggingface.chatCompletion({ model, messages: asked, tools, tool_choice: "none" });
    assert.ok(final.choices[0].message.content);
    assert.equal(final.choices[0].finish_reason, "stop");
  });

  test(`ollama > ${model}: results of tools are answered`, async () => {
    // Nothing in this dialect forces a call, so the calls are given.
    const asked = [...messages];
    for (const content of results) {
      const call = { function: { name: "get_tide", arguments: { port: "Brest", metres: true } } };
      asked.push({ role: "assistant", content: "", tool_calls: [call] }, { role: "tool", tool_name: "get_tide", content });
      const { message } = await ollama.chat({ model, messages: asked, tools });
      assert.ok(message.content || message.tool_calls?.length);
    }
  });

  test(`ollama > ${model}: a stream is the plain answer, and errors`, async () => {
    const plain = await ollama.chat({ model, messages });
    assert.match(plain.message.content, /^\[simulated\]/);
    let text = "";
    let last;
    for await (const part of await ollama.chat({ model, messages, stream: true })) {
      text += part.message.content;
      last = part;
    }
    assert.equal(text, plain.message.content);
    assert.ok(last.done);
    await assert.rejects(ollama.chat({ model: `${model}-limited`, messages }), (e) => e.status_code === 429);
    await assert.rejects(async () => {
      for await (const part of await ollama.chat({ model: `${model}-broken`, messages, stream: true })) assert.ok(!part.done);
    });
  });
}

test("others: key, model, models", async () => {
  await assert.rejects(new Mistral({ serverURL: url, apiKey: "wrong" }).chat.complete({ model: "openai", messages }), { statusCode: 401 });
  await assert.rejects(ollama.chat({ model: "nope", messages }), (e) => e.status_code === 404);
  const names = (await ollama.list()).models.map((model) => model.name);
  vendors.forEach((vendor) => assert.ok(names.includes(vendor), vendor));
  assert.equal((await cohere.embed({ model: "gemini", texts: ["a", "b"], inputType: "search_query", embeddingTypes: ["float"] }, once)).embeddings.float.length, 2);
});
