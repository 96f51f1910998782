// Asks again and again while somebody looks, and one call at a time.
import { type Failure, failureOf } from "../../api/failure";

export class Poll<Answer> {
  answer: Answer | null = $state.raw(null);
  failure: Failure | null = $state.raw(null);
  answeredAt: Date | null = $state.raw(null);

  #timer: ReturnType<typeof setTimeout> | undefined;
  #abort: AbortController | null = null;

  constructor(
    private readonly ask: (signal: AbortSignal) => Promise<Answer>,
    private readonly everyMs: number,
  ) {}

  /** Begins. Returns what stops it. */
  start(): () => void {
    const onVisibility = (): void => {
      if (document.hidden) this.#pause();
      else void this.now();
    };
    document.addEventListener("visibilitychange", onVisibility);
    void this.now();
    return () => {
      document.removeEventListener("visibilitychange", onVisibility);
      this.#pause();
    };
  }

  async now(): Promise<void> {
    this.#pause();
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const answer = await this.ask(abort.signal);
      if (abort.signal.aborted) return;
      this.answer = answer;
      this.failure = null;
      this.answeredAt = new Date();
    } catch (cause) {
      if (abort.signal.aborted) return;
      const failure = failureOf(cause);
      if (failure.kind !== "expired") this.failure = failure;
    }
    this.#timer = setTimeout(() => void this.now(), this.everyMs);
  }

  #pause(): void {
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }
}
