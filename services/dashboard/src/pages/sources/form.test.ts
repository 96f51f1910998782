import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SourceSchema, SourceSpecSchema } from "../../gen/heimdallr/sources/v1/sources_service_pb";
import { formOf, problemsOf, specOf } from "./form";

const SPECS = [
  create(SourceSpecSchema, {
    name: "scanner",
    schedule: { when: { case: "intervalS", value: 10 } },
    kind: { case: "watchFolder", value: { path: "/watch/in", settleS: 5, deleteStored: true } },
  }),
  create(SourceSpecSchema, {
    name: "orthanc",
    schedule: { when: { case: "intervalS", value: 30 } },
    kind: { case: "orthanc", value: { peerId: "p", restPath: "/orthanc", reconcileEveryH: 24 } },
  }),
  create(SourceSpecSchema, {
    name: "web",
    schedule: { when: { case: "daily", value: { times: ["02:00", "14:30"], timeZone: "America/Sao_Paulo" } } },
    kind: { case: "qido", value: { peerId: "p", filter: { modalities: ["CT", "MR"], daysBack: 3 } } },
  }),
  create(SourceSpecSchema, {
    name: "pacs",
    schedule: { when: { case: "intervalS", value: 300 } },
    kind: { case: "dimse", value: { peerId: "p", filter: { modalities: [], daysBack: 1 }, useGet: true } },
  }),
];

test.each(SPECS)("what is registered of $name is what its form says", (spec) => {
  const form = formOf(create(SourceSchema, { spec }));

  expect(specOf(form)).toEqual(spec);
  expect(problemsOf(form)).toEqual({});
});

test("what is wrong is named by its field", () => {
  const empty = { ...formOf(), interval: "0", path: "relative", settle: "x" };

  expect(Object.keys(problemsOf(empty))).toEqual([
    "spec.name",
    "spec.schedule.interval_s",
    "spec.watch_folder.path",
    "spec.watch_folder.settle_s",
  ]);
  expect(problemsOf({ ...empty, kind: "qido", daily: true, times: "25:00" })).toMatchObject({
    "spec.schedule.daily.times": { key: "error.times" },
    "spec.qido.peer_id": { key: "error.peer" },
  });
});

test("lists are written as people write them", () => {
  const form = { ...formOf(), kind: "dimse" as const, peerId: "p", modalities: "ct; mr  dx", daily: true, times: "02:00,  03:30" };
  const spec = specOf(form);

  expect(spec.kind.value).toMatchObject({ filter: { modalities: ["CT", "MR", "DX"] } });
  expect(spec.schedule?.when.value).toMatchObject({ times: ["02:00", "03:30"] });
});
