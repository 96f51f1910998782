// Addresses of these pages.

export const PROJECTS = "/deidentification";
export const CROSSWALK = "/deidentification/crosswalk";

export function projectPath(projectId: string): string {
  return `${PROJECTS}/projects/${encodeURIComponent(projectId)}`;
}

export function seriesPath(deidentificationId: string): string {
  return `${PROJECTS}/series/${encodeURIComponent(deidentificationId)}`;
}
