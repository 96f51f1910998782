// The protocol of tus.io 1.0.0, as far as the gateway speaks it.
import { CORRELATION_HEADER, newCorrelationId } from "../../api/transport";

export interface Passed {
  readonly place: number;
  readonly reason: string;
}

/** What the gateway tells of an upload. */
export interface UploadDocument {
  readonly upload_id: string;
  readonly state: "receiving" | "waiting" | "unpacking" | "done";
  readonly length: number;
  readonly offset: number;
  readonly create_time: string;
  readonly stored: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly journaled: number;
  readonly refused_count: number;
  readonly skipped_count: number;
  readonly refused?: readonly Passed[];
  readonly references_refused: number;
  readonly references_missing: number;
  readonly failure: string;
}

export type ProblemKind = "offline" | "no-room" | "denied" | "expired" | "too-large" | "too-many" | "gone" | "conflict" | "fault";

export class TusError extends Error {
  constructor(readonly kind: ProblemKind) {
    super(kind);
  }

  /** Whether the same may work a little later. */
  get passing(): boolean {
    return this.kind === "offline" || this.kind === "no-room" || this.kind === "conflict";
  }
}

const PATH = "/api/v1/uploads";
const KINDS: Readonly<Record<number, ProblemKind>> = {
  401: "expired",
  403: "denied",
  404: "gone",
  408: "offline",
  409: "conflict",
  410: "gone",
  413: "too-large",
  423: "conflict",
  429: "too-many",
  502: "offline",
  503: "offline",
  504: "offline",
  507: "no-room",
};

export async function begin(length: number, signal: AbortSignal): Promise<string> {
  const answer = await ask("POST", PATH, { "Upload-Length": String(length) }, signal);
  return (answer.headers.get("Location") ?? "").split("/").at(-1) ?? "";
}

export async function offsetOf(uploadId: string, signal: AbortSignal): Promise<number> {
  return offsetIn(await ask("HEAD", `${PATH}/${uploadId}`, {}, signal));
}

export async function append(uploadId: string, offset: number, piece: Blob, signal: AbortSignal): Promise<number> {
  const headers = { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" };
  return offsetIn(await ask("PATCH", `${PATH}/${uploadId}`, headers, signal, piece));
}

export async function documentOf(uploadId: string, signal: AbortSignal): Promise<UploadDocument> {
  return (await (await ask("GET", `${PATH}/${uploadId}`, {}, signal)).json()) as UploadDocument;
}

export async function documents(signal: AbortSignal): Promise<readonly UploadDocument[]> {
  const answer = await ask("GET", PATH, {}, signal);
  return ((await answer.json()) as { readonly uploads: readonly UploadDocument[] }).uploads;
}

export async function remove(uploadId: string, signal: AbortSignal): Promise<void> {
  await ask("DELETE", `${PATH}/${uploadId}`, {}, signal);
}

function offsetIn(answer: Response): number {
  return Number(answer.headers.get("Upload-Offset") ?? "0");
}

async function ask(method: string, path: string, headers: Record<string, string>, signal: AbortSignal, body?: Blob): Promise<Response> {
  const all = { "Tus-Resumable": "1.0.0", [CORRELATION_HEADER]: newCorrelationId(), ...headers };
  let answer: Response;
  try {
    answer = await fetch(path, { method, headers: all, body: body ?? null, signal, credentials: "same-origin" });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new TusError("offline");
  }
  if (answer.ok) return answer;
  throw new TusError(KINDS[answer.status] ?? "fault");
}
