/** xterm's colours from the window's own. xterm cannot read CSS variables, so they are written out. */
import type { ITheme } from "@xterm/xterm";

const LIGHT: ITheme = {
  background: "#fdfefe",
  foreground: "#1d2a33",
  cursor: "#10628c",
  cursorAccent: "#fdfefe",
  selectionBackground: "#bcdcec",
  black: "#1d2a33",
  red: "#b3261e",
  green: "#1d6b45",
  yellow: "#7a5200",
  blue: "#10628c",
  magenta: "#7a3f8f",
  cyan: "#0f6a75",
  white: "#5d6b75",
  brightBlack: "#6b7780",
  brightRed: "#c7372d",
  brightGreen: "#237d52",
  brightYellow: "#8c6000",
  brightBlue: "#1d78a8",
  brightMagenta: "#8f52a5",
  brightCyan: "#177f8b",
  brightWhite: "#1d2a33",
};
const DARK: ITheme = {
  background: "#10191f",
  foreground: "#dfe8ec",
  cursor: "#7fc4e8",
  cursorAccent: "#10191f",
  selectionBackground: "#2b4a5c",
  black: "#22303a",
  red: "#ff8a7a",
  green: "#7fd3a4",
  yellow: "#e8c06a",
  blue: "#7fc4e8",
  magenta: "#cda0e0",
  cyan: "#79d0d6",
  white: "#c7d3da",
  brightBlack: "#7d909c",
  brightRed: "#ffa598",
  brightGreen: "#9fe0bd",
  brightYellow: "#f2d490",
  brightBlue: "#a3d7f2",
  brightMagenta: "#dfbdee",
  brightCyan: "#a0e0e5",
  brightWhite: "#f4f8fa",
};

export function terminalTheme(dark: boolean): ITheme {
  return dark ? DARK : LIGHT;
}
