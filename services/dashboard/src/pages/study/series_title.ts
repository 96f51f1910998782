// What a series is called on this page.

import type { Series } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import { t } from "./t";

/** Number and description, or words for what is missing. */
export function seriesTitle(series: Series): string {
  const description = series.seriesDescription.trim() === "" ? t("series.untitled") : series.seriesDescription;
  return series.seriesNumber === undefined ? description : t("series.title", { number: series.seriesNumber, description });
}
