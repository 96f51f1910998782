// The address bar as state: read by pages, written by navigate().
import { type Route, routeOf } from "./routes";

class Router {
  path: string = $state(location.pathname);
  search: string = $state(location.search);
  route: Route = $derived(routeOf(this.path));
  query: URLSearchParams = $derived(new URLSearchParams(this.search));

  /** Goes to an address of the page; `replace` leaves no step to go back to. */
  navigate(to: string, options: { replace?: boolean } = {}): void {
    const url = new URL(to, location.href);
    if (url.href === location.href) return;
    if (options.replace === true) history.replaceState(history.state, "", url);
    else history.pushState(null, "", url);
    this.read();
  }

  /** Writes the query of the present path; empty values are left out. */
  setQuery(values: Readonly<Record<string, string>>, options: { replace?: boolean } = {}): void {
    const query = new URLSearchParams(this.search);
    for (const [name, value] of Object.entries(values)) {
      if (value === "") query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    this.navigate(this.path + (text === "" ? "" : `?${text}`), options);
  }

  read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }
}

export const router = new Router();

/** Follows the browser's back button and plain links. Returns what stops it. */
export function startRouter(): () => void {
  if (location.pathname === "/") history.replaceState(null, "", `/studies${location.search}`);
  router.read();
  const onPop = (): void => router.read();
  addEventListener("popstate", onPop);
  document.addEventListener("click", onClick);
  return () => {
    removeEventListener("popstate", onPop);
    document.removeEventListener("click", onClick);
  };
}

function onClick(event: MouseEvent): void {
  const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (event.defaultPrevented || !plain || !(event.target instanceof Element)) return;
  const link = event.target.closest("a");
  if (link === null || !leadsWithin(link)) return;
  event.preventDefault();
  router.navigate(link.href);
}

/** Whether a link leads to another address of this page. */
function leadsWithin(link: HTMLAnchorElement): boolean {
  const elsewhere = link.target !== "" || link.hasAttribute("download") || link.origin !== location.origin;
  return !elsewhere && link.getAttribute("href")?.startsWith("#") !== true;
}
