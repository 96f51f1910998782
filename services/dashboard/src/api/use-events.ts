// The stream of events, handed down by context.
import { getContext, setContext } from "svelte";
import type { EventStream } from "./event-stream.svelte";

const KEY = Symbol("events");

export function provideEvents(stream: EventStream): void {
  setContext(KEY, stream);
}

export function useEvents(): EventStream {
  const stream = getContext<EventStream | undefined>(KEY);
  if (stream === undefined) throw new Error("no event stream was provided");
  return stream;
}
