// A study as it is now: one watch stream, and what is fetched when it tells of a change.

import { type Client, Code, ConnectError } from "@connectrpc/connect";

import type { StreamState } from "../../api/event-stream.svelte";
import { type Failure, failureOf } from "../../api/failure";
import type { ArchiveService, Series, Study } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import type { CompletenessService } from "../../gen/heimdallr/workflow/v1/completeness_service_pb";
import type {
  GetStudyResultsResponse,
  Priority,
  StudyWorkflow,
  WorkflowService,
} from "../../gen/heimdallr/workflow/v1/workflow_service_pb";

/** The services this page calls. */
export interface StudyClients {
  readonly archive: Client<typeof ArchiveService>;
  readonly completeness: Client<typeof CompletenessService>;
  readonly workflow: Client<typeof WorkflowService>;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** The server sends at least every 15 s; three missed mean the stream is dead. */
const SILENCE_MS = 45_000;

const FINAL: ReadonlySet<Code> = new Set([
  Code.NotFound,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.InvalidArgument,
  Code.Unimplemented,
]);

/** How long to wait before the stream is opened again after so many failures. */
export function pauseMs(failures: number, random: () => number = Math.random): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures) * (0.5 + random() / 2);
}

/** What of the work decides whether study, series and results have to be fetched again. */
export function fingerprint(workflow: StudyWorkflow): string {
  const stages = workflow.stages.map((stage) => `${stage.stageId}:${stage.state}:${stage.attempts.length}`);
  return [workflow.state, workflow.generation, workflow.evidence, ...stages].join(" ");
}

/** One study, kept up to date until it is stopped. */
export class StudyLive {
  study = $state.raw<Study>();
  series = $state.raw<readonly Series[]>([]);
  workflow = $state.raw<StudyWorkflow>();
  results = $state.raw<GetStudyResultsResponse>();
  /** Why nothing can be shown, or why the last fetch failed. */
  failure = $state.raw<Failure>();
  connection = $state<StreamState>("connecting");

  private readonly ending = new AbortController();
  private over = false;
  private wake: (() => void) | undefined;
  private fetched = "";
  private fetching: Promise<void> | undefined;
  private stale = false;

  constructor(
    private readonly clients: StudyClients,
    private readonly studyId: string,
  ) {}

  /** Begins; returns what stops it. */
  start(): () => void {
    const online = (): void => this.wake?.();
    window.addEventListener("online", online);
    void this.follow();
    return () => {
      window.removeEventListener("online", online);
      this.ending.abort();
      this.wake?.();
    };
  }

  /** Tries again at once, also after a failure that ended it. */
  retry(): void {
    this.failure = undefined;
    if (this.over) void this.follow();
    else this.wake?.();
  }

  /** Runs a stage again, and what depends on it. */
  async replay(stageId: string): Promise<void> {
    await this.clients.workflow.replayStage({ stageId });
  }

  /** Stops what waits or runs; returns how many stages were stopped. */
  async cancel(): Promise<number> {
    return (await this.clients.workflow.cancelStudy({ studyId: this.studyId })).stoppedCount;
  }

  /** Says that the study is complete: a person knows. */
  async complete(): Promise<void> {
    await this.clients.completeness.completeStudy({ studyId: this.studyId });
  }

  /** Changes how soon the work is taken. */
  async prioritize(priority: Priority): Promise<void> {
    await this.clients.workflow.setStudyPriority({ studyId: this.studyId, priority });
  }

  private async follow(): Promise<void> {
    this.connection = "connecting";
    this.over = false;
    for (let failures = 0; !this.ending.signal.aborted; failures += 1) {
      try {
        await this.watch(() => (failures = 0));
      } catch (error) {
        if (this.ending.signal.aborted) return;
        if (this.ends(ConnectError.from(error))) return;
      }
      this.connection = navigator.onLine ? "reconnecting" : "offline";
      await this.pause(pauseMs(failures));
    }
  }

  private ends(error: ConnectError): boolean {
    this.over = FINAL.has(error.code);
    if (this.over || !this.workflow) this.failure = failureOf(error);
    if (this.over) this.connection = "offline";
    return this.over;
  }

  private async watch(onMessage: () => void): Promise<void> {
    const stream = new AbortController();
    const stop = (): void => stream.abort();
    this.ending.signal.addEventListener("abort", stop);
    let silence = setTimeout(stop, SILENCE_MS);
    try {
      for await (const { workflow } of this.clients.workflow.watchStudyWorkflow({ studyId: this.studyId }, { signal: stream.signal })) {
        clearTimeout(silence);
        silence = setTimeout(stop, SILENCE_MS);
        onMessage();
        if (workflow) this.take(workflow);
      }
    } finally {
      clearTimeout(silence);
      this.ending.signal.removeEventListener("abort", stop);
    }
  }

  private take(workflow: StudyWorkflow): void {
    this.connection = "live";
    this.workflow = workflow;
    const print = fingerprint(workflow);
    // While instances arrive their number changes without any stage doing so.
    if (print === this.fetched && workflow.stages.length > 0 && !this.failure) return;
    this.fetched = print;
    this.stale = true;
    this.fetching ??= this.refresh().finally(() => (this.fetching = undefined));
  }

  private async refresh(): Promise<void> {
    while (this.stale && !this.ending.signal.aborted) {
      this.stale = false;
      const options = { signal: this.ending.signal };
      try {
        const [found, results] = await Promise.all([
          this.clients.archive.getStudy({ study: { case: "studyId", value: this.studyId } }, options),
          this.clients.workflow.getStudyResults({ studyId: this.studyId }, options),
        ]);
        this.study = found.study;
        this.series = found.series;
        this.results = results;
        this.failure = undefined;
      } catch (error) {
        if (!this.ending.signal.aborted) this.failure = failureOf(error);
      }
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
