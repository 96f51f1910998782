// One upload of this page: read, sent piece after piece, unpacked by the gateway.
import type { Parcel } from "./chosen";
import { append, begin, documentOf, offsetOf, type ProblemKind, remove, TusError, type UploadDocument } from "./tus";
import { zipBlob } from "./zip-blob";

const PIECE = 8 << 20;
const POLL_MS = 700;
const LONGEST_PAUSE_MS = 15_000;
const STORED = "heimdallr.uploads";
const MOST_REMEMBERED = 100;

export type Phase = "preparing" | "sending" | "paused" | "unpacking" | "done" | "failed";

export class Upload {
  phase: Phase = $state("preparing");
  done = $state(0);
  /** What stops it or holds it up, if anything does. */
  problem: ProblemKind | "changed" | null = $state(null);
  outcome: UploadDocument | null = $state.raw(null);
  /** Our id of it; empty before the gateway knows it. */
  uploadId = $state("");

  #abort = new AbortController();
  #blob: Blob | null = $state.raw(null);

  constructor(
    readonly parcel: Parcel,
    private readonly firstPauseMs = 500,
  ) {}

  get total(): number {
    return this.#blob?.size ?? this.parcel.files.reduce((sum, { file }) => sum + file.size, 0);
  }

  /** Name of the file at a place of the archive, from 1. */
  nameAt(place: number): string | undefined {
    return this.parcel.alone && /\.zip$/i.test(this.parcel.title) ? undefined : this.parcel.files[place - 1]?.name;
  }

  /** Goes on from wherever it is, until it is done, paused or failed. */
  async run(): Promise<void> {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.problem = null;
    try {
      await this.#prepare(signal);
      await this.#send(signal);
      await this.#follow(signal);
    } catch (cause) {
      if (signal.aborted) return;
      this.problem = cause instanceof TusError ? cause.kind : "changed";
      if (this.problem === "gone") forget(this.parcel.key);
      this.phase = this.problem === "expired" ? "paused" : "failed";
    }
  }

  pause(): void {
    this.#abort.abort();
    this.phase = "paused";
  }

  async remove(): Promise<void> {
    this.#abort.abort();
    forget(this.parcel.key);
    if (this.uploadId !== "") await remove(this.uploadId, new AbortController().signal).catch(() => undefined);
  }

  async #prepare(signal: AbortSignal): Promise<void> {
    if (this.#blob !== null) return;
    this.phase = "preparing";
    const { files, alone } = this.parcel;
    this.#blob = alone ? files[0]!.file : await zipBlob(files, (read) => (this.done = read), signal);
  }

  async #send(signal: AbortSignal): Promise<void> {
    const blob = this.#blob!;
    this.phase = "sending";
    this.done = 0;
    let tries = 0;
    let offset = await this.#find(blob.size, signal);
    while (offset < blob.size) {
      this.done = offset;
      try {
        offset = await append(this.uploadId, offset, blob.slice(offset, offset + PIECE), signal);
        tries = 0;
        this.problem = null;
      } catch (cause) {
        if (!(cause instanceof TusError) || !cause.passing) throw cause;
        this.problem = cause.kind === "conflict" ? null : cause.kind;
        await pause(Math.min(this.firstPauseMs * 2 ** tries, LONGEST_PAUSE_MS), signal);
        tries += 1;
        offset = await this.#stand(offset, signal);
      }
    }
    this.done = blob.size;
  }

  /** Finds the upload that these files began before, or begins one. */
  async #find(size: number, signal: AbortSignal): Promise<number> {
    this.uploadId ||= remembered()[this.parcel.key] ?? "";
    if (this.uploadId !== "") {
      try {
        return await offsetOf(this.uploadId, signal);
      } catch (cause) {
        if (!(cause instanceof TusError) || cause.kind !== "gone") throw cause;
      }
    }
    this.uploadId = await begin(size, signal);
    remember(this.parcel.key, this.uploadId);
    return 0;
  }

  async #stand(before: number, signal: AbortSignal): Promise<number> {
    try {
      return await offsetOf(this.uploadId, signal);
    } catch (cause) {
      if (cause instanceof TusError && cause.passing) return before;
      throw cause;
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    this.phase = "unpacking";
    for (;;) {
      try {
        const document = await documentOf(this.uploadId, signal);
        if (document.state === "done") {
          this.outcome = document;
          this.phase = "done";
          forget(this.parcel.key);
          return;
        }
      } catch (cause) {
        if (!(cause instanceof TusError) || !cause.passing) throw cause;
      }
      await pause(POLL_MS, signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason as Error)), { once: true });
  });
}

function remembered(): Readonly<Record<string, string>> {
  try {
    return (JSON.parse(localStorage.getItem(STORED) ?? "{}") ?? {}) as Record<string, string>;
  } catch {
    return {};
  }
}

function remember(key: string, uploadId: string): void {
  const { [key]: _, ...rest } = remembered();
  store(Object.fromEntries([...Object.entries(rest), [key, uploadId]].slice(-MOST_REMEMBERED)));
}

function forget(key: string): void {
  const { [key]: _, ...rest } = remembered();
  store(rest);
}

function store(known: Readonly<Record<string, string>>): void {
  try {
    localStorage.setItem(STORED, JSON.stringify(known));
  } catch {
    // Storage may be forbidden; an upload then does not outlive the page.
  }
}
