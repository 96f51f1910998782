// What a person fills in of a source, as messages and back.
import { create } from "@bufbuild/protobuf";
import {
  type Filter,
  FilterSchema,
  type Schedule,
  ScheduleSchema,
  type Source,
  type SourceSpec,
  SourceSpecSchema,
} from "../../gen/heimdallr/sources/v1/sources_service_pb";

export type Kind = "watchFolder" | "orthanc" | "qido" | "dimse";
export const KINDS: readonly Kind[] = ["watchFolder", "orthanc", "qido", "dimse"];

export interface SourceForm {
  name: string;
  kind: Kind;
  daily: boolean;
  interval: string;
  times: string;
  zone: string;
  path: string;
  settle: string;
  deleteStored: boolean;
  peerId: string;
  restPath: string;
  reconcile: string;
  modalities: string;
  days: string;
  useGet: boolean;
}

/** A problem: which text says it, and what it says. */
export interface Problem {
  readonly key: "error.needed" | "error.path" | "error.number" | "error.times" | "error.peer";
  readonly from?: number;
  readonly to?: number;
}

export function kindOf(spec: SourceSpec | undefined): Kind {
  return spec?.kind.case ?? "watchFolder";
}

const NEW: SourceForm = {
  name: "",
  kind: "watchFolder",
  daily: false,
  interval: "60",
  times: "02:00",
  zone: "",
  path: "",
  settle: "5",
  deleteStored: false,
  peerId: "",
  restPath: "",
  reconcile: "24",
  modalities: "",
  days: "2",
  useGet: false,
};

/** The form of a source; without one, of a new one. */
export function formOf(source?: Source): SourceForm {
  const spec = source?.spec;
  if (spec === undefined) return { ...NEW };
  return { ...NEW, name: spec.name, kind: kindOf(spec), ...whenOf(spec.schedule), ...whatOf(spec) };
}

function whenOf(schedule: Schedule | undefined): Partial<SourceForm> {
  const when = schedule?.when;
  if (when?.case === "daily") return { daily: true, times: when.value.times.join(", "), zone: when.value.timeZone };
  return when?.case === "intervalS" ? { interval: String(when.value) } : {};
}

function whatOf({ kind }: SourceSpec): Partial<SourceForm> {
  switch (kind.case) {
    case "watchFolder":
      return { path: kind.value.path, settle: String(kind.value.settleS), deleteStored: kind.value.deleteStored };
    case "orthanc":
      return { peerId: kind.value.peerId, restPath: kind.value.restPath, reconcile: String(kind.value.reconcileEveryH) };
    case "qido":
      return { peerId: kind.value.peerId, ...whichOf(kind.value.filter) };
    case "dimse":
      return { peerId: kind.value.peerId, useGet: kind.value.useGet, ...whichOf(kind.value.filter) };
    default:
      return {};
  }
}

function whichOf(filter: Filter | undefined): Partial<SourceForm> {
  return filter === undefined ? {} : { modalities: filter.modalities.join(", "), days: String(filter.daysBack) };
}

/** What is wrong before anybody is asked, by the path of the field in the request. */
export function problemsOf(form: SourceForm): Readonly<Record<string, Problem>> {
  const found: Record<string, Problem> = {};
  if (form.name.trim() === "") found["spec.name"] = { key: "error.needed" };
  if (!form.daily) number(found, "spec.schedule.interval_s", form.interval, 1, 604_800);
  else if (!listed(form.times).every(isTime) || listed(form.times).length === 0) found["spec.schedule.daily.times"] = { key: "error.times" };
  if (form.kind === "watchFolder") {
    if (!form.path.trim().startsWith("/")) found["spec.watch_folder.path"] = { key: "error.path" };
    number(found, "spec.watch_folder.settle_s", form.settle, 1, 3600);
    return found;
  }
  if (form.peerId === "") found[`spec.${form.kind}.peer_id`] = { key: "error.peer" };
  if (form.kind === "orthanc") number(found, "spec.orthanc.reconcile_every_h", form.reconcile, 0, 8760);
  else number(found, `spec.${form.kind}.filter.days_back`, form.days, 1, 3650);
  return found;
}

/** What is to be registered. */
export function specOf(form: SourceForm): SourceSpec {
  return create(SourceSpecSchema, { name: form.name.trim(), schedule: scheduleOf(form), kind: kindFrom(form) });
}

function kindFrom(form: SourceForm): NonNullable<SourceSpecInit["kind"]> {
  const { peerId } = form;
  switch (form.kind) {
    case "watchFolder":
      return { case: "watchFolder", value: { path: form.path.trim(), settleS: Number(form.settle), deleteStored: form.deleteStored } };
    case "orthanc":
      return { case: "orthanc", value: { peerId, restPath: form.restPath.trim(), reconcileEveryH: Number(form.reconcile) } };
    case "qido":
      return { case: "qido", value: { peerId, filter: filterOf(form) } };
    case "dimse":
      return { case: "dimse", value: { peerId, filter: filterOf(form), useGet: form.useGet } };
  }
}

type SourceSpecInit = NonNullable<Parameters<typeof create<typeof SourceSpecSchema>>[1]>;

function filterOf(form: SourceForm) {
  const modalities = listed(form.modalities).map((modality) => modality.toUpperCase());
  return create(FilterSchema, { modalities, daysBack: Number(form.days) });
}

function scheduleOf(form: SourceForm): Schedule {
  return create(ScheduleSchema, {
    when: form.daily
      ? { case: "daily", value: { times: listed(form.times), timeZone: form.zone.trim() } }
      : { case: "intervalS", value: Number(form.interval) },
  });
}

function listed(text: string): string[] {
  return text
    .split(/[\s,;]+/)
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

function isTime(text: string): boolean {
  return /^([01]\d|2[0-3]):[0-5]\d$/.test(text);
}

function number(found: Record<string, Problem>, field: string, text: string, from: number, to: number): void {
  const value = Number(text);
  if (!/^\d{1,7}$/.test(text.trim()) || value < from || value > to) found[field] = { key: "error.number", from, to };
}
