import * as vscode from "vscode";

/** Settings of this extension; the server knows nothing of them. */
const OWN = new Set(["path", "trace"]);

/**
 * What the user set under `qsum`, for a document or folder. A default is left out, so that the project's own
 * `.qsum.toml` is asked before it.
 */
export function chosenSettings(
  extension: vscode.Extension<unknown>,
  scope?: vscode.Uri,
): Record<string, unknown> {
  const configuration = vscode.workspace.getConfiguration("qsum", scope ?? null);
  const chosen: Record<string, unknown> = {};
  for (const name of names(extension)) {
    const found = configuration.inspect(name);
    const values = [found?.workspaceFolderValue, found?.workspaceValue, found?.globalValue];
    if (values.some((value) => value !== undefined)) {
      chosen[name] = configuration.get(name);
    }
  }
  return chosen;
}

function names(extension: vscode.Extension<unknown>): string[] {
  const groups: { properties: Record<string, unknown> }[] = extension.packageJSON.contributes.configuration;
  return groups
    .flatMap((group) => Object.keys(group.properties))
    .map((name) => name.slice("qsum.".length))
    .filter((name) => !OWN.has(name.split(".")[0] ?? ""));
}
