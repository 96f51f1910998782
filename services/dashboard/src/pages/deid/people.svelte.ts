// Names of those who asked and decided: records have their ids.
import type { Api } from "../../api/api";
import { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import type { Session } from "../../session/session.svelte";

const PAGE = 500;

export class People {
  #names: Readonly<Record<string, string>> = $state.raw({});

  constructor(
    private readonly access: Api["access"],
    private readonly session: Session,
  ) {}

  /** The name of a person, or the id where this reader may not know the name. */
  nameOf(subject: string): string {
    if (subject !== "" && subject === this.session.caller?.subject) return this.session.name;
    return this.#names[subject] ?? subject;
  }

  /** Asks for the names, where that is permitted. Without them ids are shown. */
  async learn(signal: AbortSignal): Promise<void> {
    if (!this.session.may(Permission.ACCESS_ADMIN)) return;
    try {
      const { users } = await this.access.listUsers({ pageSize: PAGE }, { signal });
      this.#names = Object.fromEntries(users.map((user) => [user.userId, user.name]));
    } catch {
      this.#names = {};
    }
  }
}
