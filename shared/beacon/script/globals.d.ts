// What the handler writes into the files before it minifies them, and what the
// page may have.

/** Where messages go, relative to the script's own address. */
declare const ENDPOINT: string;
/** The query of the file with further parts, but for their names. */
declare const MODULE: string;
/** Matches lists of attributes with a part that this file lacks. */
declare const MISSING: RegExp;

interface Window {
  eider?: any;
  mallard?: any;
}

interface Document {
  prerendering?: boolean;
}

type Guard = (fn: (a?: any, b?: any) => any) => (a?: any, b?: any) => any;
type Listen = (type: string, fn: (event: any) => void) => void;
