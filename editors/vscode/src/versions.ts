/** The oldest server that speaks as this extension expects. */
export const OLDEST_SERVER = "0.1.0";

/** The version in what `qsum --version` prints, or undefined where it prints something else. */
export function parseVersion(printed: string): string | undefined {
  return /\bqsum\b.*?(\d+\.\d+\.\d+\S*)/.exec(printed)?.[1];
}

/** Whether `version` is as new as `oldest`; a pre-release counts as its release. */
export function isNewEnough(version: string, oldest: string = OLDEST_SERVER): boolean {
  const has = numbers(version);
  const needs = numbers(oldest);
  for (const [index, need] of needs.entries()) {
    const have = has[index] ?? 0;
    if (have !== need) {
      return have > need;
    }
  }
  return true;
}

function numbers(version: string): number[] {
  return (version.match(/^\d+(\.\d+)*/)?.[0] ?? "0").split(".").map(Number);
}
