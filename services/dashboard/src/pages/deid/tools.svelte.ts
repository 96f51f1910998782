// What the service that de-identifies can do, asked once.
import type { Client } from "@connectrpc/connect";
import { isCancelled } from "../../api/failure";
import type { DeidentificationService, DescribeToolsResponse } from "../../gen/heimdallr/deid/v1/deidentification_service_pb";
import type { ProfileOption, ProfilePreset } from "../../gen/heimdallr/deid/v1/profile_pb";

export class Tools {
  known: DescribeToolsResponse | null = $state.raw(null);
  /** Whether it was asked and did not answer. */
  silent = $state(false);

  constructor(private readonly service: Client<typeof DeidentificationService>) {}

  get withoutOcr(): boolean {
    return this.known !== null && this.known.ocrEngine === "";
  }

  /** The options of a preset; null while they are not known. */
  optionsOf(preset: ProfilePreset): readonly ProfileOption[] | null {
    return this.known?.presets.find((one) => one.preset === preset)?.options ?? null;
  }

  async ask(signal: AbortSignal): Promise<void> {
    try {
      this.known = await this.service.describeTools({}, { signal });
      this.silent = false;
    } catch (cause) {
      if (!isCancelled(cause)) this.silent = true;
    }
  }
}
