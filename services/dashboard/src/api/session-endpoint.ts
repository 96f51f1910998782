// The gateway's HTTP side of signing in: it turns credentials into an HttpOnly cookie.

export type Credentials =
  | { readonly sign_in_token: string }
  | { readonly name: string; readonly password: string };

/** An answer of problem+json (RFC 9457), or none at all. */
export class SessionError extends Error {
  override readonly name = "SessionError";

  constructor(
    /** Status of the answer; 0 when none came. */
    readonly status: number,
    readonly correlationId: string,
  ) {
    super(`session ${status}`);
  }
}

export interface SessionEndpoint {
  begin(credentials: Credentials): Promise<void>;
  renew(): Promise<void>;
  end(): Promise<void>;
}

export const sessionEndpoint: SessionEndpoint = {
  begin: (credentials) => send("POST", "/session", credentials),
  renew: () => send("POST", "/session/renewal"),
  end: () => send("DELETE", "/session"),
};

async function send(method: string, path: string, body?: Credentials): Promise<void> {
  const init: RequestInit = { method, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new SessionError(0, "");
  }
  if (!response.ok) throw new SessionError(response.status, await correlationIdOf(response));
}

async function correlationIdOf(response: Response): Promise<string> {
  const header = response.headers.get("x-correlation-id");
  if (header !== null) return header;
  try {
    const problem: unknown = await response.json();
    if (typeof problem === "object" && problem !== null && "correlation_id" in problem) {
      return String(problem.correlation_id);
    }
  } catch {
    // The answer is not ours, e.g. a proxy's.
  }
  return "";
}
