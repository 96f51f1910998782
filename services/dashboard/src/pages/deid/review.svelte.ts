// A series under review: its objects, the one that is looked at, and what was done to it.
import type { Client } from "@connectrpc/connect";
import { type Failure, failureOf, isCancelled } from "../../api/failure";
import type { CompareInstanceResponse } from "../../gen/heimdallr/deid/v1/deidentification_service_pb";
import {
  Decision,
  type Deidentification,
  type DeidentifiedObject,
  type DeidReviewService,
  ObjectState,
} from "../../gen/heimdallr/deid/v1/review_service_pb";

const PAGE = 200;
const LARGEST_PAGE = 1000;
const AGAIN_MS = 2000;
const SOON_MS = 200;

export class Review {
  series: Deidentification | null = $state.raw(null);
  objects: readonly DeidentifiedObject[] = $state.raw([]);
  nextToken = $state("");
  failure: Failure | null = $state.raw(null);
  busy = $state(false);
  comparison: CompareInstanceResponse | null = $state.raw(null);
  compareFailure: Failure | null = $state.raw(null);
  /** Whether the comparison has values as they were. */
  revealed = $state(false);

  #loading = new AbortController();
  #comparing = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly service: Client<typeof DeidReviewService>,
    private readonly deidentificationId: string,
  ) {}

  /** Loads the first page of objects in a state. */
  async load(state: ObjectState): Promise<void> {
    this.#loading.abort();
    this.#loading = new AbortController();
    await this.#page(state, "", this.#loading.signal);
  }

  /** Loads the next page. */
  async more(state: ObjectState): Promise<void> {
    await this.#page(state, this.nextToken, this.#loading.signal);
  }

  async #page(state: ObjectState, pageToken: string, signal: AbortSignal): Promise<void> {
    this.busy = true;
    try {
      const answer = await this.service.getDeidentification({ deidentificationId: this.deidentificationId, state, pageSize: PAGE, pageToken }, { signal });
      this.series = answer.deidentification ?? null;
      this.objects = pageToken === "" ? answer.objects : [...this.objects, ...answer.objects];
      this.nextToken = answer.nextPageToken;
      this.failure = null;
      this.#follow();
    } catch (cause) {
      if (!isCancelled(cause)) this.failure = failureOf(cause);
    } finally {
      if (!signal.aborted) this.busy = false;
    }
  }

  /** Shows what was done to an object, its values masked. */
  async compare(instanceId: string): Promise<void> {
    this.#comparing.abort();
    this.#comparing = new AbortController();
    const { signal } = this.#comparing;
    this.comparison = null;
    this.compareFailure = null;
    this.revealed = false;
    try {
      const answer = await this.service.compareObject({ deidentificationId: this.deidentificationId, instanceId }, { signal });
      if (!signal.aborted) this.comparison = answer.comparison ?? null;
    } catch (cause) {
      if (!isCancelled(cause)) this.compareFailure = failureOf(cause);
    }
  }

  /** Shows values as they were; it is recorded who asked. */
  async reveal(instanceId: string): Promise<void> {
    const { signal } = this.#comparing;
    const answer = await this.service.revealObject({ deidentificationId: this.deidentificationId, instanceId }, { signal });
    if (signal.aborted) return;
    this.comparison = answer.comparison ?? null;
    this.compareFailure = null;
    this.revealed = true;
  }

  /** Decides an object and returns it as it stands. It keeps its place in the list; counts follow. */
  async decide(instanceId: string, decision: Decision, reason: string): Promise<DeidentifiedObject | undefined> {
    clearTimeout(this.#timer);
    const { object } = await this.service.decideObject({ deidentificationId: this.deidentificationId, instanceId, decision, reason });
    if (object) this.#put([object]);
    this.#timer = setTimeout(() => void this.#refresh(this.#loading.signal), SOON_MS);
    return object;
  }

  /** Asks again while something is made again; each object keeps its place in the list. */
  #follow(): void {
    clearTimeout(this.#timer);
    if (this.objects.some(isMadeAgain)) this.#timer = setTimeout(() => void this.#refresh(this.#loading.signal), AGAIN_MS);
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    let pageToken = "";
    try {
      do {
        const answer = await this.service.getDeidentification({ deidentificationId: this.deidentificationId, pageSize: LARGEST_PAGE, pageToken }, { signal });
        this.series = answer.deidentification ?? null;
        this.#put(answer.objects);
        pageToken = answer.nextPageToken;
      } while (pageToken !== "");
      this.failure = null;
    } catch (cause) {
      if (!isCancelled(cause)) this.failure = failureOf(cause);
    }
    if (!signal.aborted) this.#follow();
  }

  #put(objects: readonly DeidentifiedObject[]): void {
    const now = new Map(objects.map((one) => [one.instanceId, one]));
    this.objects = this.objects.map((one) => now.get(one.instanceId) ?? one);
  }

  /** Ends what is under way. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#loading.abort();
    this.#comparing.abort();
  }
}

/** Whether an object waits for a person. */
export function waits(object: DeidentifiedObject): boolean {
  return object.state === ObjectState.HELD && object.decidedBy === "";
}

/** Whether a person approved an object that is not made again yet. */
export function isMadeAgain(object: DeidentifiedObject): boolean {
  return object.state === ObjectState.HELD && object.decidedBy !== "";
}

/** The next object that waits after one, from the beginning again at the end. */
export function nextWaiting(objects: readonly DeidentifiedObject[], instanceId: string): DeidentifiedObject | undefined {
  const at = objects.findIndex((one) => one.instanceId === instanceId);
  return [...objects.slice(at + 1), ...objects.slice(0, Math.max(at, 0))].find(waits);
}
