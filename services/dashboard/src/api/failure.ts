// What went wrong with a call, as far as a person can act on it.
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { CORRELATION_HEADER } from "./transport";

export type FailureKind =
  | "offline"
  | "unavailable"
  | "expired"
  | "denied"
  | "not-found"
  | "limited"
  | "invalid"
  | "unimplemented"
  | "cancelled"
  | "fault";

export interface Failure {
  readonly kind: FailureKind;
  /** A value name of heimdallr.errors.v1.ErrorReason; empty when the server gave none. */
  readonly reason: string;
  readonly correlationId: string;
}

const KINDS = new Map<Code, FailureKind>([
  [Code.Canceled, "cancelled"],
  [Code.Unauthenticated, "expired"],
  [Code.PermissionDenied, "denied"],
  [Code.NotFound, "not-found"],
  [Code.ResourceExhausted, "limited"],
  [Code.InvalidArgument, "invalid"],
  [Code.FailedPrecondition, "invalid"],
  [Code.OutOfRange, "invalid"],
  [Code.Unimplemented, "unimplemented"],
  [Code.Unavailable, "unavailable"],
  [Code.DeadlineExceeded, "unavailable"],
]);

export function failureOf(cause: unknown): Failure {
  const error = ConnectError.from(cause);
  return {
    kind: kindOf(error),
    reason: reasonOf(error),
    // Headers and trailers both carry it, and are joined into one text.
    correlationId: (error.metadata.get(CORRELATION_HEADER) ?? "").split(",", 1)[0] ?? "",
  };
}

/** Whether a call ended because the page itself no longer wanted it. */
export function isCancelled(cause: unknown): boolean {
  return failureOf(cause).kind === "cancelled";
}

function kindOf(error: ConnectError): FailureKind {
  if (error.cause instanceof DOMException && error.cause.name === "AbortError") return "cancelled";
  const kind = KINDS.get(error.code);
  if (kind === "unavailable" || kind === undefined) {
    if (!navigator.onLine) return "offline";
    // What fetch throws when no connection came about.
    if (error.cause instanceof TypeError) return "unavailable";
  }
  return kind ?? "fault";
}

/** `google.rpc.ErrorInfo.reason`, field 1 of the detail of that type. */
function reasonOf(error: ConnectError): string {
  for (const detail of error.details) {
    if (!("type" in detail) || detail.type !== "google.rpc.ErrorInfo") continue;
    return firstText(detail.value);
  }
  return "";
}

function firstText(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) return reader.string();
    reader.skip(wireType);
  }
  return "";
}
