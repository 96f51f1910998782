// A schedule in words.
import type { Schedule } from "../../gen/heimdallr/sources/v1/sources_service_pb";
import { t } from "./t";

export function scheduleText(schedule: Schedule | undefined): string {
  const when = schedule?.when;
  if (when?.case === "daily") {
    const zone = when.value.timeZone || "UTC";
    return t("daily", { times: `${when.value.times.join(", ")} (${zone})` });
  }
  return when?.case === "intervalS" ? t("every", { what: durationText(when.value) }) : "";
}

function durationText(seconds: number): string {
  if (seconds % 3600 === 0) return t.count("hours", seconds / 3600);
  if (seconds % 60 === 0) return t.count("minutes", seconds / 60);
  return t.count("seconds", seconds);
}
