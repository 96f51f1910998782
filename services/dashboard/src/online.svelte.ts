// Whether the device has a connection.

export class Online {
  is = $state(navigator.onLine);

  /** Follows the browser. Returns what stops it. */
  start(): () => void {
    const update = (): void => void (this.is = navigator.onLine);
    addEventListener("online", update);
    addEventListener("offline", update);
    return () => {
      removeEventListener("online", update);
      removeEventListener("offline", update);
    };
  }
}
