import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";

import {
  type Stage,
  StageSchema,
  StageState,
  StudyWorkflowSchema,
} from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import { canCancel, canReplay, dependents, kindOf, timeline } from "./timeline";

function stage(name: string, state: StageState, spans: [number, number | undefined][], more: Partial<Stage> = {}): Stage {
  const attempts = spans.map(([start, end], index) => ({
    number: index + 1,
    startTime: timestampFromMs(start),
    ...(end === undefined ? {} : { endTime: timestampFromMs(end) }),
  }));
  return create(StageSchema, { stageId: name, name, state, generation: 1, attempts, dependsOnStageIds: more.dependsOnStageIds ?? [] });
}

describe("timeline", () => {
  it("places each stage on the time from the first instance to now", () => {
    const workflow = create(StudyWorkflowSchema, {
      generation: 1,
      stages: [stage("plan", StageState.DONE, [[2000, 4000]]), stage("convert", StageState.RUNNING, [[4000, undefined]])],
    });

    const shown = timeline(workflow, { firstMs: 0, lastMs: 1000 }, 10_000);

    expect(shown.totalMs).toBe(10_000);
    expect(shown.received.bars).toEqual([{ from: 0, length: 0.1 }]);
    expect(shown.rows.map((row) => row.bars)).toEqual([[{ from: 0.2, length: 0.2 }], [{ from: 0.4, length: 0.6 }]]);
  });

  it("does not count time for an attempt whose worker died", () => {
    const lost = stage("convert", StageState.DONE, [[1000, undefined], [5000, 6000]]);
    const workflow = create(StudyWorkflowSchema, { generation: 1, stages: [lost] });

    const [row] = timeline(workflow, { firstMs: undefined, lastMs: undefined }, 99_000).rows;

    expect(row!.attempts.map((one) => one.durationMs)).toEqual([undefined, 1000]);
    expect(row!.durationMs).toBe(1000);
  });

  it("keeps older generations apart", () => {
    const old = create(StageSchema, { stageId: "old", name: "convert", state: StageState.SUPERSEDED, generation: 1 });
    const kept = create(StageSchema, { stageId: "kept", name: "describe", state: StageState.DONE, generation: 1 });
    const fresh = create(StageSchema, { stageId: "new", name: "convert", state: StageState.PENDING, generation: 2 });

    const shown = timeline(create(StudyWorkflowSchema, { generation: 2, stages: [fresh, old, kept] }), { firstMs: 0, lastMs: 0 }, 0);

    expect(shown.rows.map((row) => row.stage.stageId)).toEqual(["new"]);
    expect(shown.superseded.map((row) => row.stage.stageId)).toEqual(["old", "kept"]);
  });

  it("knows stages by name, and leaves strange names as they are", () => {
    expect(kindOf("analyze:ct_tissue")).toEqual({ kind: "analyze", subject: "ct_tissue" });
    expect(kindOf("report")).toEqual({ kind: "report", subject: "" });
    expect(kindOf("deliver")).toEqual({ kind: "other", subject: "deliver" });
  });

  it("offers a replay of held and refused stages alone", () => {
    const states = [StageState.PENDING, StageState.RUNNING, StageState.DONE, StageState.HELD, StageState.REFUSED, StageState.SUPERSEDED];

    expect(states.filter((state) => canReplay(stage("convert", state, [])))).toEqual([StageState.HELD, StageState.REFUSED]);
  });

  it("finds what depends on a stage, however far", () => {
    const stages = [
      stage("convert", StageState.DONE, []),
      stage("report", StageState.PENDING, [], { dependsOnStageIds: ["analyze:a", "describe"] }),
      stage("analyze:a", StageState.HELD, [], { dependsOnStageIds: ["convert"] }),
      stage("describe", StageState.DONE, []),
    ];

    expect(dependents(stages, "convert").map((one) => one.stageId)).toEqual(["report", "analyze:a"]);
    expect(dependents(stages, "report")).toEqual([]);
  });

  it("offers to stop only work that waits or runs", () => {
    const held = create(StudyWorkflowSchema, { generation: 1, stages: [stage("convert", StageState.HELD, [])] });
    const running = create(StudyWorkflowSchema, { generation: 1, stages: [stage("convert", StageState.RUNNING, [])] });

    expect([canCancel(held), canCancel(running)]).toEqual([false, true]);
  });
});
