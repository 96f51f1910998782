// The rule for passwords, as AccessService.SetPassword has it: 12 to 1,024 bytes of UTF-8.

const SHORTEST = 12;
const LONGEST_BYTES = 1024;

export type PasswordFault = "password.too-short" | "password.too-long";

export function passwordFault(password: string): PasswordFault | null {
  // Counted in characters: whoever reads the rule counts these, and bytes are never fewer.
  if ([...password].length < SHORTEST) return "password.too-short";
  if (new TextEncoder().encode(password).length > LONGEST_BYTES) return "password.too-long";
  return null;
}
