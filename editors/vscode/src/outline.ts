import * as vscode from "vscode";
import type { Server } from "./server";

interface WireRange {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

interface WireSummary {
  /** `stale`: the summary is the last one, and the text has changed since. */
  readonly state: "fresh" | "stale" | "missing";
  readonly running: boolean;
  readonly summary: string | null;
  readonly note: string;
}

interface WireSection extends WireSummary {
  readonly id: string;
  readonly title: string;
  readonly level: number;
  readonly range: WireRange;
  readonly selectionRange: WireRange;
}

/** What `qsum/outline` answers; the sections are in document order. */
interface WireOutline {
  readonly message: string;
  readonly page: WireSummary;
  readonly sections: readonly WireSection[];
}

/** A section with what is known of its summary. `summary` is empty where there is none. */
export interface OutlineSection {
  readonly id: string;
  readonly title: string;
  readonly level: number;
  readonly range: vscode.Range;
  /** Where the heading stands. */
  readonly heading: vscode.Range;
  readonly summary: string;
  /** What the reader of the summary should know of it. */
  readonly note: string;
  readonly isStale: boolean;
  readonly isRunning: boolean;
  readonly children: OutlineSection[];
  readonly parent: OutlineSection | undefined;
}

/** The sections of a page, the page's own summary, and what is wrong; both empty where there is nothing to say. */
export interface Outline {
  readonly sections: readonly OutlineSection[];
  readonly pageSummary: string;
  readonly message: string;
}

export const NO_OUTLINE: Outline = { sections: [], pageSummary: "", message: "" };

/** The outline of a document with the summaries that are known; nothing is summarised for it. */
export async function fetchOutline(
  server: Server,
  document: vscode.TextDocument,
  token?: vscode.CancellationToken,
): Promise<Outline> {
  const params = { textDocument: { uri: document.uri.toString() } };
  const answer = await server.request<WireOutline | null>("qsum/outline", params, token);
  return answer
    ? { sections: tree(answer.sections), pageSummary: answer.page.summary ?? "", message: answer.message }
    : NO_OUTLINE;
}

/** The innermost section at a position. */
export function sectionAt(
  sections: readonly OutlineSection[],
  position: vscode.Position,
): OutlineSection | undefined {
  const holding = sections.filter((section) => section.range.contains(position)).at(-1);
  return holding && (sectionAt(holding.children, position) ?? holding);
}

/** All sections from the top of the page down. */
export function* walk(sections: readonly OutlineSection[]): Generator<OutlineSection> {
  for (const section of sections) {
    yield section;
    yield* walk(section.children);
  }
}

/** What stands in place of the summary of a section that has none. */
export function absent(section: OutlineSection): string {
  return section.isRunning ? "Summarizing…" : "No summary yet";
}

function tree(wire: readonly WireSection[]): OutlineSection[] {
  const roots: OutlineSection[] = [];
  const open: OutlineSection[] = [];
  for (const one of wire) {
    while ((open.at(-1)?.level ?? -1) >= one.level || open.at(-1)?.level === 0) {
      open.pop();
    }
    const parent = open.at(-1);
    const section: OutlineSection = {
      id: one.id,
      title: one.title || (one.level === 0 ? "Introduction" : "(no title)"),
      level: one.level,
      range: range(one.range),
      heading: range(one.selectionRange),
      summary: one.summary ?? "",
      note: one.note,
      isStale: one.state === "stale",
      isRunning: one.running,
      children: [],
      parent,
    };
    (parent?.children ?? roots).push(section);
    open.push(section);
  }
  return roots;
}

function range({ start, end }: WireRange): vscode.Range {
  return new vscode.Range(start.line, start.character, end.line, end.character);
}
