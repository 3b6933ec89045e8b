// The AWS SDK for JavaScript, version 3, as an adapter of the conformance suite (`conformance/README.md`): JSON lines on
// stdin and stdout. The HTTP handlers are the SDK's own: for Kinesis HTTP/2, on http:// with prior knowledge, for Firehose
// HTTP/1.1.

import readline from "node:readline";

import * as firehose from "@aws-sdk/client-firehose";
import * as kinesis from "@aws-sdk/client-kinesis";
import { NormalizedSchema } from "@smithy/core/schema";

/** The code of everything that is not an error of the service. */
const NOT_THE_SERVICE = "ClientError";
/** The HTTP status under which a stream of events runs, and fails. */
const STREAMING = 200;

const SERVICE_EXCEPTIONS = [firehose.FirehoseServiceException, kinesis.KinesisServiceException];

class Unknown extends Error {}

/** The SDK leaves out, without a word, what its schema does not have: so the schema is asked first. */
function fromJson(value, schema, where) {
  if (schema.isBlobSchema()) {
    return Buffer.from(value.$bytes, "base64");
  }
  if (schema.isTimestampSchema()) {
    return new Date(value.$ms);
  }
  if (schema.isListSchema()) {
    return value.map((one) => fromJson(one, schema.getValueSchema(), where));
  }
  if (schema.isMapSchema()) {
    return mapValues(value, (one) => fromJson(one, schema.getValueSchema(), where));
  }
  if (schema.isStructSchema()) {
    const members = schema.getMemberSchemas();
    return mapValues(value, (one, name) => {
      if (!Object.hasOwn(members, name)) {
        throw new Unknown(`${where} has no member ${name}`);
      }
      return fromJson(one, members[name], `${where}.${name}`);
    });
  }
  return value;
}

function toJson(value) {
  if (value instanceof Uint8Array) {
    return { $bytes: Buffer.from(value).toString("base64") };
  }
  if (value instanceof Date) {
    return { $ms: value.getTime() };
  }
  if (Array.isArray(value)) {
    return value.map(toJson);
  }
  if (value !== null && typeof value === "object") {
    return mapValues(value, toJson);
  }
  return value;
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value, name)]));
}

function commandOf(sdk, operation, members) {
  const Command = sdk[`${operation}Command`];
  const schema = sdk[`${operation}$`];
  if (!Command || !schema) {
    throw new Unknown(`the SDK has no operation ${operation}`);
  }
  // A static operation schema ends with its input and its output.
  const input = NormalizedSchema.of(schema.at(-2));
  return new Command(input.isUnitSchema() ? {} : fromJson(members, input, operation));
}

async function call({ sdk, client }, { op, in: members }) {
  const { $metadata, ...out } = await client.send(commandOf(sdk, op, members));
  return toJson(out);
}

async function subscribe({ sdk, client }, { op, in: members, events: wanted, seconds }) {
  const stop = new AbortController();
  const { EventStream } = await client.send(commandOf(sdk, op, members), { abortSignal: stop.signal });
  const arriving = EventStream[Symbol.asyncIterator]();
  const out = { events: [], ended: false };
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, seconds * 1000, undefined);
  });
  try {
    while (out.events.length < wanted) {
      const next = await Promise.race([arriving.next(), late]);
      if (next === undefined) {
        break;
      }
      if (next.done) {
        out.ended = true;
        break;
      }
      if (next.value.SubscribeToShardEvent) {
        out.events.push(toJson(next.value.SubscribeToShardEvent));
      }
    }
  } catch (failure) {
    const { code, message } = errorOf(failure, STREAMING);
    Object.assign(out, { ended: true, error: { code, message } });
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
  return out;
}

function errorOf(failure, status) {
  if (SERVICE_EXCEPTIONS.some((type) => failure instanceof type)) {
    const { name, message, $metadata } = failure;
    return { code: name, message, status: $metadata?.httpStatusCode ?? status };
  }
  console.error(failure);
  return { code: NOT_THE_SERVICE, message: String(failure), status: 0 };
}

async function answer(services, request) {
  try {
    const out = await (request.op === "SubscribeToShard" ? subscribe : call)(services[request.service], request);
    return { id: request.id, out };
  } catch (failure) {
    if (failure instanceof Unknown) {
      return { id: request.id, unknown: failure.message };
    }
    return { id: request.id, error: errorOf(failure) };
  }
}

const once = { maxAttempts: 1 };
const services = {
  firehose: { sdk: firehose, client: new firehose.FirehoseClient(once) },
  kinesis: { sdk: kinesis, client: new kinesis.KinesisClient(once) },
};
for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  process.stdout.write(`${JSON.stringify(await answer(services, JSON.parse(line)))}\n`);
}
Object.values(services).forEach(({ client }) => client.destroy());
