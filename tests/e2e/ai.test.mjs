// Vercel's AI SDK: each of its providers, with nothing but base URL and key changed, to models of every vendor.
import assert from "node:assert/strict";
import test from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { forcing, key, question, url, vendors } from "./vendors.mjs";

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: key });
const google = createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey: key });
const clients = {
  "openai chat": (model) => openai.chat(model),
  "openai responses": (model) => openai.responses(model),
  anthropic: createAnthropic({ baseURL: `${url}/v1`, apiKey: key }),
  google: (model) => google(model),
};
const schema = z.object({ port: z.string(), height: z.number() });

function tideTool(called) {
  return tool({
    description: "Tide height",
    inputSchema: z.object({ port: z.string() }),
    execute: async ({ port }) => {
      called.push(port);
      return { port, height: 3.2 };
    },
  });
}

for (const [name, client] of Object.entries(clients)) {
  for (const vendor of vendors) {
    // By default this client refers to items of earlier answers by their ids. Simulated OpenAI keeps answers, but no items.
    const providerOptions = vendor === "openai" ? { openai: { store: false } } : {};
    const model = client(vendor);
    const ask = (fault) => ({ model: client(`${vendor}-${fault}`), prompt: question, maxRetries: 0 });

    test(`ai: ${name} > ${vendor}: a stream is the plain answer`, async () => {
      const plain = await generateText({ model, prompt: question });
      assert.match(plain.text, /^\[simulated\]/);
      assert.equal(plain.finishReason, "stop");
      const stream = streamText({ model, prompt: question });
      let text = "";
      for await (const piece of stream.textStream) text += piece;
      assert.equal(text, plain.text);
      assert.equal(await stream.finishReason, "stop");
      assert.ok((await stream.usage).outputTokens > 5);
    });

    test(`ai: ${name} > ${vendor}: agent of several steps`, { skip: !forcing.includes(vendor) }, async () => {
      const called = [];
      const answer = await generateText({
        model,
        prompt: question,
        providerOptions,
        tools: { get_tide: tideTool(called) },
        prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber < 2 ? "required" : "none" }),
        stopWhen: stepCountIs(4),
      });
      assert.equal(called.length, 2);
      assert.equal(answer.steps.length, 3);
      assert.ok(answer.text);
    });

    test(`ai: ${name} > ${vendor}: agent, streamed`, { skip: !forcing.includes(vendor) }, async () => {
      const called = [];
      const stream = streamText({
        model,
        prompt: question,
        providerOptions,
        tools: { get_tide: tideTool(called) },
        prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber < 1 ? "required" : "none" }),
        stopWhen: stepCountIs(3),
        onError: ({ error }) => assert.fail(error),
      });
      assert.ok(await stream.text);
      assert.equal(called.length, 1);
    });

    test(`ai: ${name} > ${vendor}: an object`, { skip: name === "anthropic" && !forcing.includes(vendor) }, async () => {
      const { object } = await generateObject({ model, prompt: question, schema });
      assert.deepEqual(Object.keys(object).sort(), ["height", "port"]);
    });

    test(`ai: ${name} > ${vendor}: errors`, async () => {
      for (const [fault, status] of [["refused", 400], ["limited", 429]])
        await assert.rejects(generateText(ask(fault)), (e) => APICallError.isInstance(e) && e.statusCode === status);
    });

    test(`ai: ${name} > ${vendor}: a stream that breaks does not end well`, async () => {
      const errors = [];
      const stream = streamText({ ...ask("broken"), onError: ({ error }) => errors.push(error) });
      const reasons = [];
      for await (const part of stream.fullStream) if (part.type === "finish") reasons.push(part.finishReason);
      // response.failed is no error to this client, only no finish that it knows
      assert.ok(errors.length > 0 || reasons.join() === "unknown", `ended with ${reasons}`);
      assert.ok(!reasons.includes("stop"));
    });
  }
}

test("ai: embeddings", async () => {
  for (const model of [openai.embedding("gemini"), google.textEmbedding("openai")]) {
    const { embeddings } = await embedMany({ model, values: ["a", "b"] });
    assert.equal(embeddings.length, 2);
    assert.notDeepEqual(embeddings[0], embeddings[1]);
  }
});
