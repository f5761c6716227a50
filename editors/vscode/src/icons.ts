const ICON = /\$\([A-Za-z0-9-]+(?:~[A-Za-z]+)?\)/g;

/** `text` for where VS Code puts an icon in place of `$(name)`: all of it is shown, shell commands such as `$(pwd)` too. */
export function withoutIcons(text: string): string {
  return text.replace(ICON, "\\$&");
}
