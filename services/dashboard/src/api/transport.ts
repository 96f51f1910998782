// How the page calls the mesh: gRPC-Web at its own origin, with the session cookie.
import type { Interceptor, Transport } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

export const CORRELATION_HEADER = "x-correlation-id";

/** A new id that follows a call through every process and into its error. */
export function newCorrelationId(): string {
  // crypto.randomUUID exists in secure contexts only; a clinic's page may come by plain http.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Gives each call a correlation id and puts it on the error too, even if no server answered. */
export const correlate: Interceptor = (next) => async (request) => {
  const id = newCorrelationId();
  request.header.set(CORRELATION_HEADER, id);
  try {
    return await next(request);
  } catch (cause) {
    const error = ConnectError.from(cause);
    if (!error.metadata.has(CORRELATION_HEADER)) error.metadata.set(CORRELATION_HEADER, id);
    throw error;
  }
};

/** Tells when a call was refused because nobody is signed in any more. */
export function noticeExpiry(onExpired: () => void): Interceptor {
  return (next) => async (request) => {
    try {
      return await next(request);
    } catch (cause) {
      const error = ConnectError.from(cause);
      if (error.code === Code.Unauthenticated) onExpired();
      throw error;
    }
  };
}

export function createTransport(onExpired: () => void): Transport {
  return createGrpcWebTransport({
    baseUrl: location.origin,
    useBinaryFormat: true,
    fetch: (input, init) => fetch(input, { ...init, credentials: "same-origin" }),
    interceptors: [noticeExpiry(onExpired), correlate],
  });
}
