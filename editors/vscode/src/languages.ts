import type * as vscode from "vscode";

/** The languages that the server serves; the manifest's activation events and menus name the same. */
export const LANGUAGES: readonly string[] = ["markdown", "mdx", "quarto", "rmarkdown"];

/** Files and unsaved buffers; the server reads nothing of virtual workspaces. */
export const SELECTOR: { scheme: string; language: string }[] = LANGUAGES.flatMap((language) => [
  { scheme: "file", language },
  { scheme: "untitled", language },
]);

export function isServed(document: vscode.TextDocument): boolean {
  return (
    LANGUAGES.includes(document.languageId) &&
    (document.uri.scheme === "file" || document.uri.scheme === "untitled")
  );
}
