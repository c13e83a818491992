export interface SampleOptions {
  n?: number; // 20
  seed?: number; // 42
  temperature?: number; // 1
  top_k?: number; // 0: all
  top_p?: number; // 1: all
  prefix?: string;
  pattern?: string; // ? any character, * any text, [abc] one of several
  label?: string;
  distinct?: boolean;
}
export interface CharacterScore {
  char: string; // "" is the end of the word
  nats: number;
  unknown: boolean;
}
export interface Score {
  word: string;
  nats: number; // means over the characters and the end
  bits: number;
  chars: CharacterScore[];
}
export interface Next {
  char: string;
  p: number; // at the temperature
  drawn: number; // with which a draw takes it: 0 if top_k or top_p cut it off
}
export class Words {
  readonly characters: string[];
  readonly labels: string[];
  sample(options?: SampleOptions): string[];
  next(prefix?: string, options?: { temperature?: number; top_k?: number; top_p?: number; label?: string }): Next[];
  score(word: string, options?: { label?: string }): Score;
}
declare const words: Words;
export default words;
