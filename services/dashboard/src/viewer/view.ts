// What of a viewer's state stands in the address.

import type { Label, Shown } from "./labels";
import * as labelled from "./labels";
import type { Window } from "./windows";
import * as windows from "./windows";

/** What is looked at; what is undefined is the viewer's choice. */
export interface View {
  readonly slice: number | undefined;
  readonly window: Window | undefined;
  readonly labels: Shown;
}

/** Reads the query of a study's address; what is not understood is left to the viewer. */
export function viewOf(query: URLSearchParams, labels: readonly Label[]): View {
  const slice = Number(query.get("slice") ?? "");
  return {
    slice: Number.isInteger(slice) && slice >= 1 ? slice : undefined,
    window: windows.fromParameter(query.get("window") ?? ""),
    labels: labelled.fromParameter(query.get("labels") ?? "", labels),
  };
}

/** Writes a view for the query; empty values are left out of it. */
export function toQuery(view: View): Readonly<Record<"slice" | "window" | "labels", string>> {
  return {
    slice: view.slice === undefined ? "" : String(view.slice),
    window: view.window ? windows.toParameter(view.window) : "",
    labels: labelled.toParameter(view.labels),
  };
}
