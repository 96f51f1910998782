import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, expect, test, vi } from "vitest";
import { EventsService, EventType, type WatchEventsResponse, WatchEventsResponseSchema } from "../gen/heimdallr/events/v1/events_service_pb";
import { Feed, studyId } from "../testing/mesh";
import { EventStream, type Heard } from "./event-stream.svelte";

const WAIT = { timeout: 8000 };
const TIMES = { silenceMs: 80, firstBackoffMs: 5, longestBackoffMs: 20 };
let stream: EventStream | undefined;
afterEach(() => stream?.stop());

type Watch = (cursor: string, signal: AbortSignal) => AsyncIterable<WatchEventsResponse>;

function start(watch: Watch): Heard[] {
  const transport = createRouterTransport(({ service }) =>
    service(EventsService, { watchEvents: (request, context) => watch(request.cursor, context.signal) }),
  );
  const heard: Heard[] = [];
  stream = new EventStream(createClient(EventsService, transport), TIMES);
  stream.listen((one) => heard.push(one));
  stream.start();
  return heard;
}

const message = (cursor: string, n: number): WatchEventsResponse =>
  create(WatchEventsResponseSchema, { cursor, event: { type: EventType.STUDY_GREW, studyId: studyId(n) } });

test("a stream that breaks goes on where it was", async () => {
  const cursors: string[] = [];
  const heard = start(async function* (cursor, signal) {
    cursors.push(cursor);
    if (cursors.length === 1) {
      yield message("5", 1);
      throw new ConnectError("cut", Code.Unavailable);
    }
    yield message("6", 2);
    yield* new Feed().read(signal);
  });

  await vi.waitFor(() => expect(heard.filter((one) => one.kind === "event")).toHaveLength(2), WAIT);

  expect(cursors).toEqual(["", "5"]);
  expect(heard.filter((one) => one.kind === "missed")).toHaveLength(1);
  expect(stream?.state).toBe("live");
});

test("a cursor that is too old begins anew and says that something was missed", async () => {
  const cursors: string[] = [];
  const heard = start(async function* (cursor, signal) {
    cursors.push(cursor);
    if (cursors.length === 1) {
      yield message("5", 1);
      return;
    }
    if (cursor === "5") throw new ConnectError("expired", Code.OutOfRange);
    yield create(WatchEventsResponseSchema, { cursor: "90" });
    yield* new Feed().read(signal);
  });

  await vi.waitFor(() => expect(cursors).toEqual(["", "5", ""]), WAIT);

  await vi.waitFor(() => expect(heard.filter((one) => one.kind === "missed")).toHaveLength(2), WAIT);
});

test("silence is a dead connection", async () => {
  let calls = 0;
  start(async function* (_cursor, signal) {
    calls += 1;
    yield* new Feed().read(signal);
  });

  await vi.waitFor(() => expect(calls).toBeGreaterThan(1), WAIT);
});

test("a stopped stream stays stopped", async () => {
  let calls = 0;
  start(async function* (_cursor, signal) {
    calls += 1;
    yield* new Feed().read(signal);
  });
  await vi.waitFor(() => expect(calls).toBe(1), WAIT);

  stream?.stop();
  await new Promise((resolve) => setTimeout(resolve, 150));

  expect(calls).toBe(1);
});
