// The one stream of events of the page: heartbeat, resume by cursor, backoff.
import { Code, ConnectError } from "@connectrpc/connect";
import type { Event } from "../gen/heimdallr/events/v1/events_service_pb";
import type { Api } from "./api";

export type StreamState = "connecting" | "live" | "reconnecting" | "offline";

/** What a listener hears: an event, or that it may have missed some. */
export type Heard = { readonly kind: "event"; readonly event: Event } | { readonly kind: "missed" };

type Listener = (heard: Heard) => void;

export interface StreamTimes {
  /** The server sends something every 15 s; silence for this long is a dead connection. */
  readonly silenceMs: number;
  readonly firstBackoffMs: number;
  readonly longestBackoffMs: number;
}

const TIMES: StreamTimes = { silenceMs: 40_000, firstBackoffMs: 500, longestBackoffMs: 30_000 };

export class EventStream {
  state: StreamState = $state("connecting");

  readonly #listeners = new Set<Listener>();
  #cursor = "";
  #backoffMs: number;
  #stop: AbortController | null = null;
  #wake: (() => void) | null = null;
  #silent: AbortController | null = null;

  constructor(
    private readonly events: Api["events"],
    private readonly times: StreamTimes = TIMES,
  ) {
    this.#backoffMs = times.firstBackoffMs;
  }

  /** Calls back with all that is heard. Returns what ends it. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    if (this.#stop !== null) return;
    this.#stop = new AbortController();
    addEventListener("online", this.#onOnline);
    addEventListener("offline", this.#onOffline);
    void this.#run(this.#stop.signal);
  }

  stop(): void {
    this.#stop?.abort();
    this.#stop = null;
    this.state = "connecting";
    this.#wake?.();
    removeEventListener("online", this.#onOnline);
    removeEventListener("offline", this.#onOffline);
  }

  async #run(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      await this.#watch(stopped);
      if (stopped.aborted) return;
      this.state = navigator.onLine ? "reconnecting" : "offline";
      await this.#pause();
    }
  }

  async #watch(stopped: AbortSignal): Promise<void> {
    const silent = new AbortController();
    this.#silent = silent;
    const signal = AbortSignal.any([stopped, silent.signal]);
    let timer = setTimeout(() => silent.abort(), this.times.silenceMs);
    const resumed = this.#cursor !== "";
    try {
      // A stream without a cursor begins now: what came before it opened was missed.
      const onHeader = (): void => this.#opened(resumed);
      for await (const message of this.events.watchEvents({ cursor: this.#cursor }, { signal, onHeader })) {
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), this.times.silenceMs);
        this.#cursor = message.cursor;
        if (message.event !== undefined) this.#tell({ kind: "event", event: message.event });
      }
    } catch (cause) {
      if (ConnectError.from(cause).code === Code.OutOfRange) this.#cursor = "";
    } finally {
      clearTimeout(timer);
    }
  }

  #opened(resumed: boolean): void {
    this.state = "live";
    this.#backoffMs = this.times.firstBackoffMs;
    if (!resumed) this.#tell({ kind: "missed" });
  }

  #tell(heard: Heard): void {
    for (const listener of this.#listeners) listener(heard);
  }

  async #pause(): Promise<void> {
    // Spread, so that a thousand pages do not come back in the same moment.
    const wait = this.#backoffMs * (0.5 + Math.random() / 2);
    this.#backoffMs = Math.min(this.#backoffMs * 2, this.times.longestBackoffMs);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }

  readonly #onOnline = (): void => {
    this.#backoffMs = this.times.firstBackoffMs;
    // A connection from before may look alive and never speak again.
    this.#silent?.abort();
    this.#wake?.();
  };

  readonly #onOffline = (): void => {
    this.state = "offline";
  };
}
