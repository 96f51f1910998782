// Which field of a request broke which rule, as the server says it.
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { ConnectError } from "@connectrpc/connect";

export interface Violation {
  /** Path of the field, e.g. "spec.name". */
  readonly field: string;
  /** The rule, in English; empty when the server names none. */
  readonly rule: string;
}

const METADATA = 3;

/** The field that `google.rpc.ErrorInfo.metadata` names; null where it names none. */
export function violationOf(cause: unknown): Violation | null {
  for (const detail of ConnectError.from(cause).details) {
    if (!("type" in detail) || detail.type !== "google.rpc.ErrorInfo") continue;
    const metadata = metadataOf(detail.value);
    const field = metadata.get("field");
    if (field !== undefined) return { field, rule: metadata.get("rule") ?? "" };
  }
  return null;
}

function metadataOf(bytes: Uint8Array): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === METADATA) found.set(...entryOf(reader.bytes()));
    else reader.skip(wireType);
  }
  return found;
}

/** An entry of a map is a message: key 1, value 2. */
function entryOf(bytes: Uint8Array): [string, string] {
  const reader = new BinaryReader(bytes);
  const entry: [string, string] = ["", ""];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1 || field === 2) entry[field - 1] = reader.string();
    else reader.skip(wireType);
  }
  return entry;
}
