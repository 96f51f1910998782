import { createClient } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { ArchiveService, StudyState } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import { CompletenessService } from "../../gen/heimdallr/workflow/v1/completeness_service_pb";
import { StudyWorkflowSchema, WorkflowService } from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import { notFound, Server, STUDY_ID, transportOf } from "./fixtures";
import { fingerprint, pauseMs, StudyLive } from "./live.svelte";

let stop: (() => void) | undefined;

function follow(server: Server): StudyLive {
  const transport = transportOf(server);
  const clients = {
    archive: createClient(ArchiveService, transport),
    completeness: createClient(CompletenessService, transport),
    workflow: createClient(WorkflowService, transport),
  };
  const live = new StudyLive(clients, STUDY_ID);
  stop = live.start();
  return live;
}

describe("a study as it is now", () => {
  beforeEach(() => vi.spyOn(Math, "random").mockReturnValue(0));
  afterEach(() => stop?.());

  it("is live after the first message and has study and results", async () => {
    const live = follow(new Server());

    await vi.waitFor(() => expect(live.results?.generation).toBe(1));

    expect(live.connection).toBe("live");
    expect(live.study?.patientId).toBe("PHANTOM-3");
  });

  it("fetches results again when a stage changes", async () => {
    const server = new Server();
    let change: ((generation: number) => void) | undefined;
    server.hold = (send) =>
      new Promise((resolve) => {
        change = (generation) => {
          server.hold = () => new Promise(() => undefined);
          server.results = { generation };
          send({ ...server.workflow, state: StudyState.READY });
          resolve();
        };
      });
    const live = follow(server);
    await vi.waitFor(() => expect(live.results?.generation).toBe(1));

    change!(2);

    await vi.waitFor(() => expect(live.results?.generation).toBe(2));
    expect(live.workflow?.state).toBe(StudyState.READY);
  });

  it("opens the stream again when it ends, and keeps showing what it knew", async () => {
    const server = new Server();
    server.hold = async () => undefined;
    const live = follow(server);

    await vi.waitFor(() => expect(server.watches).toBeGreaterThan(1), { timeout: 3000 });

    expect(live.workflow?.studyId).toBe(STUDY_ID);
    expect(live.failure).toBeUndefined();
  });

  it("does not go on asking for a study that is not there, until told to", async () => {
    const server = new Server();
    server.failure = notFound();
    const live = follow(server);
    await vi.waitFor(() => expect(live.failure?.kind).toBe("not-found"));
    expect(live.connection).toBe("offline");

    server.failure = undefined;
    live.retry();

    await vi.waitFor(() => expect(live.connection).toBe("live"));
    expect(server.watches).toBe(2);
  });

  it("waits longer after each failure, up to a bound", () => {
    expect([0, 1, 2, 20].map((failures) => pauseMs(failures, () => 1))).toEqual([500, 1000, 2000, 15_000]);
    expect(pauseMs(1, () => 0)).toBe(500);
  });

  it("tells workflows apart by what results depend on alone", () => {
    const before = create(StudyWorkflowSchema, { state: 3, stages: [{ stageId: "a", state: 2, progress: { fraction: 0.1 } }] });
    const further = create(StudyWorkflowSchema, { state: 3, stages: [{ stageId: "a", state: 2, progress: { fraction: 0.9 } }] });
    const done = create(StudyWorkflowSchema, { state: 4, stages: [{ stageId: "a", state: 3 }] });

    expect(fingerprint(further)).toBe(fingerprint(before));
    expect(fingerprint(done)).not.toBe(fingerprint(before));
  });
});
