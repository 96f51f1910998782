// Who is signed in, and what happens when that ends.
import type { GetCallerResponse } from "../gen/heimdallr/access/v1/access_service_pb";
import type { Permission } from "../gen/heimdallr/access/v1/permission_pb";
import type { Api } from "../api/api";
import { type Failure, failureOf } from "../api/failure";
import { type Credentials, SessionError, type SessionEndpoint, sessionEndpoint } from "../api/session-endpoint";

export type SessionState = "asking" | "anonymous" | "signed-in" | "expired" | "unreachable";

const CHANNEL = "heimdallr.session";
const CHECK_MS = 30_000;
const WARNING_MS = 3 * 60_000;
const LIFE_SHARE_BEFORE_RENEWAL = 0.5;

export class Session {
  state: SessionState = $state("asking");
  caller: GetCallerResponse | null = $state.raw(null);
  failure: Failure | null = $state.raw(null);
  /** Rises when somebody signs in; what was loaded before is to be loaded again. */
  epoch = $state(0);
  /** True shortly before the session ends because nobody has touched the page. */
  endsSoon = $state(false);

  #access: Api["access"] | null = null;
  #receivedAt = 0;
  #touched = true;
  #channel: BroadcastChannel | null = null;

  constructor(private readonly endpoint: SessionEndpoint = sessionEndpoint) {}

  get name(): string {
    return this.caller?.user?.name ?? this.caller?.subject ?? "";
  }

  may(permission: Permission): boolean {
    return this.caller?.permissions.includes(permission) ?? false;
  }

  /** Asks who is signed in and keeps watch. Returns what stops it. */
  start(access: Api["access"]): () => void {
    this.#access = access;
    this.#channel = new BroadcastChannel(CHANNEL);
    this.#channel.addEventListener("message", this.#onOtherTab);
    const timer = setInterval(() => void this.#keep(), CHECK_MS);
    const touch = (): void => void (this.#touched = true);
    addEventListener("pointerdown", touch, { passive: true });
    addEventListener("keydown", touch, { passive: true });
    void this.ask();
    return () => {
      clearInterval(timer);
      this.#channel?.close();
      removeEventListener("pointerdown", touch);
      removeEventListener("keydown", touch);
    };
  }

  async ask(): Promise<void> {
    if (this.#access === null) return;
    try {
      const before = this.caller?.subject;
      this.caller = await this.#access.getCaller({});
      this.#receivedAt = Date.now();
      this.failure = null;
      this.endsSoon = false;
      if (this.state !== "signed-in" || before !== this.caller.subject) this.epoch += 1;
      this.state = "signed-in";
    } catch (cause) {
      this.#onFailure(failureOf(cause));
    }
  }

  /** A call was refused for want of a session. The place is kept when there was one. */
  expire(): void {
    if (this.state === "signed-in") this.state = "expired";
    else if (this.state === "asking" || this.state === "unreachable") this.state = "anonymous";
  }

  async signIn(credentials: Credentials): Promise<void> {
    await this.endpoint.begin(credentials);
    await this.ask();
    this.#channel?.postMessage("changed");
  }

  async signOut(): Promise<void> {
    await this.endpoint.end();
    this.caller = null;
    this.state = "anonymous";
    this.#channel?.postMessage("changed");
  }

  async renew(): Promise<void> {
    try {
      await this.endpoint.renew();
      await this.ask();
    } catch (cause) {
      if (cause instanceof SessionError && cause.status === 401) this.expire();
    }
  }

  /** Milliseconds until the session ends; infinite when that is not known. */
  remainingMs(): number {
    const end = this.caller?.expireTime;
    return end === undefined ? Infinity : Number(end.seconds) * 1000 - Date.now();
  }

  async #keep(): Promise<void> {
    if (this.state === "unreachable") return this.ask();
    if (this.state !== "signed-in") return;
    const remaining = this.remainingMs();
    if (remaining <= 0) return this.expire();
    const life = remaining + (Date.now() - this.#receivedAt);
    if (remaining < life * LIFE_SHARE_BEFORE_RENEWAL && this.#touched) {
      this.#touched = false;
      await this.renew();
    }
    this.endsSoon = this.state === "signed-in" && this.remainingMs() < WARNING_MS;
  }

  #onFailure(failure: Failure): void {
    if (failure.kind === "expired") this.expire();
    else if (this.state === "asking") {
      this.failure = failure;
      this.state = "unreachable";
    }
  }

  readonly #onOtherTab = (): void => {
    void this.ask();
  };
}
