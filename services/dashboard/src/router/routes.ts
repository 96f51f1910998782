// What each address shows. The address is the whole state of the page.

/** A room of de-identification: projects, one of them, a series under review, the crosswalk. */
export type DeidRoute =
  | { readonly page: "deid"; readonly room: "projects" | "crosswalk" }
  | { readonly page: "deid"; readonly room: "project" | "series"; readonly id: string };

export type Route =
  | DeidRoute
  | { readonly page: "worklist" }
  | { readonly page: "study"; readonly studyId: string }
  | { readonly page: "status" }
  | { readonly page: "peers" }
  | { readonly page: "sources" }
  | { readonly page: "upload" }
  | { readonly page: "settings" }
  | { readonly page: "sign-in" }
  | { readonly page: "not-found" };

const DEID = /^\/deidentification\/(project|serie)s\/([0-9a-fA-F-]{36})$/;
const STUDY = /^\/studies\/([0-9a-fA-F-]{36})$/;

const PLAIN = new Map<string, Route>([
  ["/studies", { page: "worklist" }],
  ["/status", { page: "status" }],
  ["/peers", { page: "peers" }],
  ["/sources", { page: "sources" }],
  ["/upload", { page: "upload" }],
  ["/deidentification", { page: "deid", room: "projects" }],
  ["/deidentification/crosswalk", { page: "deid", room: "crosswalk" }],
  ["/settings", { page: "settings" }],
  ["/sign-in", { page: "sign-in" }],
]);

export function routeOf(path: string): Route {
  const study = STUDY.exec(path);
  if (study?.[1] !== undefined) return { page: "study", studyId: study[1] };
  const deid = DEID.exec(path);
  if (deid?.[2] !== undefined) return { page: "deid", room: deid[1] === "project" ? "project" : "series", id: deid[2] };
  return PLAIN.get(path) ?? { page: "not-found" };
}

/** Address of a study. */
export function studyPath(studyId: string): string {
  return `/studies/${encodeURIComponent(studyId)}`;
}
