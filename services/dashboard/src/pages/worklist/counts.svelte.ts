// How many studies there are in each state.
import { StudyState } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import type { Api } from "../../api/api";
import { STATES, type StateFilter } from "./query";

const PAUSE_MS = 2000;

const FILTERS: Readonly<Record<StudyState, StateFilter | null>> = {
  [StudyState.UNSPECIFIED]: null,
  [StudyState.RECEIVING]: "receiving",
  [StudyState.COMPLETE]: "complete",
  [StudyState.PROCESSING]: "processing",
  [StudyState.READY]: "ready",
  [StudyState.HELD]: "held",
};

export class StudyCounts {
  byState: ReadonlyMap<StateFilter, number> = $state.raw(new Map());
  #timer: ReturnType<typeof setTimeout> | undefined;
  #askedAt = -Infinity;

  constructor(private readonly workflow: Api["workflow"]) {}

  /** Asks anew, at most once in two seconds. */
  refresh(): void {
    const wait = Math.max(0, this.#askedAt + PAUSE_MS - performance.now());
    this.#timer ??= setTimeout(() => void this.#ask(), wait);
  }

  async #ask(): Promise<void> {
    this.#timer = undefined;
    this.#askedAt = performance.now();
    try {
      const { studies } = await this.workflow.getQueue({});
      const counts = new Map<StateFilter, number>(["" as const, ...STATES].map((state) => [state, 0]));
      for (const { state, count } of studies) {
        const filter = FILTERS[state];
        if (filter) counts.set(filter, Number(count));
        counts.set("", (counts.get("") ?? 0) + Number(count));
      }
      this.byState = counts;
    } catch {
      // The filters serve without their numbers.
      this.byState = new Map();
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
