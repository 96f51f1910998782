// The one-time token of a sign-in link, and where to go once signed in.

/** Takes the token out of the address, so that neither history nor a screenshot keeps it. */
export function takeCode(): string {
  const code = new URLSearchParams(location.hash.slice(1)).get("code") ?? "";
  if (location.hash !== "") history.replaceState(history.state, "", location.pathname + location.search);
  return code;
}

/** The address that asked for signing in, when it is one of this page's. */
export function placeAfter(query: URLSearchParams): string {
  const next = query.get("next") ?? "";
  const url = URL.canParse(next, location.origin) ? new URL(next, location.origin) : null;
  const own = url !== null && url.origin === location.origin && next.startsWith("/");
  return own && url.pathname !== "/sign-in" ? url.pathname + url.search : "/studies";
}
