import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { failureOf } from "./failure";

function errorInfo(reason: string): Uint8Array {
  return new BinaryWriter().tag(2, 2).string("heimdallr.dev").tag(1, 2).string(reason).finish();
}

test("the reason and the correlation id of an error are found", () => {
  const error = new ConnectError("gone", Code.NotFound, { "x-correlation-id": "c1" });
  error.details = [{ type: "google.rpc.ErrorInfo", value: errorInfo("ERROR_REASON_STUDY_NOT_FOUND") }];

  expect(failureOf(error)).toEqual({ kind: "not-found", reason: "ERROR_REASON_STUDY_NOT_FOUND", correlationId: "c1" });
});

test("a connection that did not come about is no fault of the server", () => {
  expect(failureOf(new ConnectError("x", Code.Unknown, undefined, undefined, new TypeError("failed to fetch"))).kind).toBe("unavailable");
});

test("without a network it is the device that is offline", () => {
  vi.spyOn(navigator, "onLine", "get").mockReturnValue(false);

  expect(failureOf(new ConnectError("x", Code.Unavailable)).kind).toBe("offline");
});

test("what the page gave up is cancelled", () => {
  expect(failureOf(new DOMException("aborted", "AbortError")).kind).toBe("cancelled");
});
