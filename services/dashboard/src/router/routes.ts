// What each address shows. The address is the whole state of the page.

export type Route =
  | { readonly page: "worklist" }
  | { readonly page: "study"; readonly studyId: string }
  | { readonly page: "status" }
  | { readonly page: "peers" }
  | { readonly page: "sources" }
  | { readonly page: "upload" }
  | { readonly page: "settings" }
  | { readonly page: "sign-in" }
  | { readonly page: "not-found" };

const STUDY = /^\/studies\/([0-9a-fA-F-]{36})$/;

export function routeOf(path: string): Route {
  const study = STUDY.exec(path);
  if (study?.[1] !== undefined) return { page: "study", studyId: study[1] };
  switch (path) {
    case "/studies":
      return { page: "worklist" };
    case "/status":
      return { page: "status" };
    case "/peers":
      return { page: "peers" };
    case "/sources":
      return { page: "sources" };
    case "/upload":
      return { page: "upload" };
    case "/settings":
      return { page: "settings" };
    case "/sign-in":
      return { page: "sign-in" };
    default:
      return { page: "not-found" };
  }
}

/** Address of a study. */
export function studyPath(studyId: string): string {
  return `/studies/${encodeURIComponent(studyId)}`;
}
