// Rows of the list: which are on screen, and how a fresh first page joins them.
import type { Study } from "../../gen/heimdallr/archive/v1/archive_service_pb";

export interface Range {
  readonly begin: number;
  /** Past the last. */
  readonly end: number;
}

/** Rows of equal height that a viewport shows, and some on either side of it. */
export function visibleRange(top: number, height: number, row: number, count: number, beside = 5): Range {
  const first = Math.floor(Math.max(0, top) / row);
  const last = Math.ceil((Math.max(0, top) + height) / row);
  return { begin: Math.min(count, Math.max(0, first - beside)), end: Math.min(count, last + beside) };
}

export interface Merged {
  readonly rows: readonly Study[];
  /** Ids that were not there before. */
  readonly added: readonly string[];
}

/**
 * Puts the rows of a fresh first page where they belong among those loaded. A row that no longer
 * matches the filter keeps its place: nothing vanishes under the eyes of whoever reads.
 */
export function mergeFirstPage(loaded: readonly Study[], fresh: readonly Study[]): Merged {
  const known = new Set(loaded.map((study) => study.studyId));
  const freshById = new Map(fresh.map((study) => [study.studyId, study]));
  const added = fresh.filter((study) => !known.has(study.studyId)).map((study) => study.studyId);
  const after = placesOf(fresh, known);
  const rows = [...(after.get("") ?? [])];
  for (const study of loaded) {
    rows.push(freshById.get(study.studyId) ?? study, ...(after.get(study.studyId) ?? []));
  }
  return { rows, added };
}

/** New studies by the id of the known one they follow; "" for the top. */
function placesOf(fresh: readonly Study[], known: ReadonlySet<string>): Map<string, Study[]> {
  const places = new Map<string, Study[]>();
  let previous = "";
  for (const study of fresh) {
    if (known.has(study.studyId)) {
      previous = study.studyId;
      continue;
    }
    const place = places.get(previous) ?? [];
    place.push(study);
    places.set(previous, place);
  }
  return places;
}
