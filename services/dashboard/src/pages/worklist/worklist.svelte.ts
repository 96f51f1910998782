// The list of studies: pages from the archive, kept fresh by events.
import type { Study } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import type { StudySummary } from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import type { Api } from "../../api/api";
import type { Heard } from "../../api/event-stream.svelte";
import { type Failure, failureOf } from "../../api/failure";
import { parseQuery, requestOf, sameQuery, type WorklistQuery } from "./query";
import { mergeFirstPage } from "./rows";
import { Summaries } from "./summaries";

const FIRST_PAGE = 50;
const NEXT_PAGE = 500;
const FETCH_AHEAD_ROWS = 300;
const AHEAD_PAUSE_MS = 200;
const REFRESH_PAUSE_MS = 400;
const SUMMARY_PAUSE_MS = 60;

export class Worklist {
  rows: readonly Study[] = $state.raw([]);
  summaries: ReadonlyMap<string, StudySummary> = $state.raw(new Map());
  query: WorklistQuery = $state.raw(parseQuery(new URLSearchParams()));
  loading = $state(false);
  /** False until the first answer: then there is something to show meanwhile. */
  loaded = $state(false);
  failure: Failure | null = $state.raw(null);
  complete = $state(false);
  /** Studies that came in above what is being read. */
  unseen: ReadonlySet<string> = $state.raw(new Set<string>());
  activeId = $state("");
  scrollTop = 0;

  #nextToken = "";
  #generation = 0;
  #abort = new AbortController();
  #fetchingMore = false;
  #refreshTimer: ReturnType<typeof setTimeout> | undefined;
  #summaryTimer: ReturnType<typeof setTimeout> | undefined;
  #aheadTimer: ReturnType<typeof setTimeout> | undefined;
  #changed = new Set<string>();
  #onScreen: readonly string[] = [];
  readonly #summarizer: Summaries;

  constructor(private readonly api: Pick<Api, "archive" | "workflow">) {
    this.#summarizer = new Summaries(api.workflow);
  }

  /** Shows what a query finds, unless that is shown already. */
  open(query: WorklistQuery): void {
    if (this.loaded && this.failure === null && sameQuery(query, this.query)) return;
    this.query = query;
    void this.reload();
  }

  async reload(): Promise<void> {
    this.#abort.abort();
    this.#abort = new AbortController();
    const generation = ++this.#generation;
    const { signal } = this.#abort;
    this.loading = true;
    this.#fetchingMore = false;
    try {
      const page = await this.api.archive.listStudies(requestOf(this.query, FIRST_PAGE, ""), { signal });
      if (generation !== this.#generation) return;
      this.#show(page.studies, page.nextPageToken);
    } catch (cause) {
      if (generation === this.#generation) this.#fail(cause);
    } finally {
      if (generation === this.#generation) this.loading = false;
    }
  }

  #show(studies: readonly Study[], nextToken: string): void {
    this.rows = studies;
    this.#nextToken = nextToken;
    this.complete = nextToken === "";
    this.failure = null;
    this.loaded = true;
    this.unseen = new Set();
    this.scrollTop = 0;
    if (!studies.some((study) => study.studyId === this.activeId)) this.activeId = "";
    this.#summarizeSoon(studies.slice(0, FIRST_PAGE).map((study) => study.studyId));
  }

  /** Tells which rows are on screen: their work is asked for, and the pages beyond them fetched. */
  look(begin: number, end: number): void {
    const ids = this.rows.slice(begin, end).map((study) => study.studyId);
    this.#onScreen = ids;
    this.#summarizeSoon(ids.filter((id) => !this.summaries.has(id) || this.#changed.has(id)));
    if (end > this.rows.length - FETCH_AHEAD_ROWS) this.#moreSoon(end);
  }

  /** Rows just drawn come first: the page beyond them waits until they are on screen. */
  #moreSoon(end: number): void {
    clearTimeout(this.#aheadTimer);
    const wait = end < this.rows.length ? AHEAD_PAUSE_MS : 0;
    this.#aheadTimer = setTimeout(() => void this.more(), wait);
  }

  async more(): Promise<void> {
    if (this.#fetchingMore || this.complete || this.#nextToken === "") return;
    this.#fetchingMore = true;
    const generation = this.#generation;
    try {
      const request = requestOf(this.query, NEXT_PAGE, this.#nextToken);
      const page = await this.api.archive.listStudies(request, { signal: this.#abort.signal });
      if (generation !== this.#generation) return;
      const known = new Set(this.rows.map((study) => study.studyId));
      this.rows = [...this.rows, ...page.studies.filter((study) => !known.has(study.studyId))];
      this.#nextToken = page.nextPageToken;
      this.complete = page.nextPageToken === "";
      this.failure = null;
    } catch (cause) {
      if (generation === this.#generation) this.#fail(cause);
    } finally {
      if (generation === this.#generation) this.#fetchingMore = false;
    }
  }

  readonly hear = (heard: Heard): void => {
    if (!this.loaded) return;
    if (heard.kind === "event") this.#changed.add(heard.event.studyId);
    else for (const study of this.rows) this.#changed.add(study.studyId);
    // One refresh for a burst; a flood of events does not put it off.
    this.#refreshTimer ??= setTimeout(() => void this.#refresh(), REFRESH_PAUSE_MS);
  };

  /** Fetches the first page again and puts what is new or changed in its place. */
  async #refresh(): Promise<void> {
    this.#refreshTimer = undefined;
    // What is shown belongs to an earlier query: nothing can be merged into it.
    if (this.failure !== null || this.loading) return this.failure === null ? undefined : this.reload();
    const generation = this.#generation;
    const { signal } = this.#abort;
    try {
      const page = await this.api.archive.listStudies(requestOf(this.query, FIRST_PAGE, ""), { signal });
      if (generation !== this.#generation) return;
      const { rows, added } = mergeFirstPage(this.rows, page.studies);
      this.rows = rows;
      this.#forgetUnknown();
      if (added.length > 0) this.unseen = new Set([...this.unseen, ...added]);
      this.failure = null;
      await this.#refreshDeeper(new Set(page.studies.map((study) => study.studyId)), signal);
    } catch (cause) {
      if (generation === this.#generation) this.#fail(cause);
      return;
    }
    this.#summarizeSoon(this.#onScreen.filter((id) => this.#changed.has(id)));
  }

  /** Rows on screen that the first page does not hold are asked for one by one, four at a time. */
  async #refreshDeeper(fresh: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const ids = this.#onScreen.filter((id) => this.#changed.has(id) && !fresh.has(id));
    const found = new Map<string, Study>();
    for (let at = 0; at < ids.length; at += 4) {
      const answers = ids.slice(at, at + 4).map((studyId) =>
        this.api.archive.getStudy({ study: { case: "studyId", value: studyId } }, { signal }),
      );
      // A study that is gone or refused keeps the row it had.
      for (const answer of await Promise.allSettled(answers)) {
        const study = answer.status === "fulfilled" ? answer.value.study : undefined;
        if (study !== undefined) found.set(study.studyId, study);
      }
    }
    if (found.size > 0) this.rows = this.rows.map((row) => found.get(row.studyId) ?? row);
  }

  #forgetUnknown(): void {
    const known = new Set(this.rows.map((study) => study.studyId));
    for (const id of this.#changed) if (!known.has(id)) this.#changed.delete(id);
  }

  #summarizeSoon(ids: readonly string[]): void {
    if (ids.length === 0) return;
    clearTimeout(this.#summaryTimer);
    this.#summaryTimer = setTimeout(() => void this.#summarize(ids), SUMMARY_PAUSE_MS);
  }

  async #summarize(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#changed.delete(id);
    try {
      const found = await this.#summarizer.of(ids, this.#abort.signal);
      if (found.length === 0) return;
      const next = new Map(this.summaries);
      for (const summary of found) next.set(summary.studyId, summary);
      this.summaries = next;
    } catch {
      // The rows stand without them; the next event asks again.
    }
  }

  #fail(cause: unknown): void {
    const failure = failureOf(cause);
    if (failure.kind !== "cancelled" && failure.kind !== "expired") this.failure = failure;
  }

  /** All that is above has been looked at. */
  seen(): void {
    if (this.unseen.size > 0) this.unseen = new Set();
  }

  stop(): void {
    clearTimeout(this.#refreshTimer);
    clearTimeout(this.#summaryTimer);
    clearTimeout(this.#aheadTimer);
    this.#abort.abort();
  }
}
