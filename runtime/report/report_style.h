// report_style.h: the page's style sheet: light and dark screens, paper. Private to the layer.
//
// Colours are Okabe and Ito's set for colour-blind readers, darkened on white and lightened on
// black so that thin lines and text of them stay legible (contrast 4.5:1). What they tell is also
// told by place, dash or fill.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_REPORT_STYLE_H
#define VKALIGN_REPORT_STYLE_H

#define VA_STYLE_LIGHT                                                                             \
    "--ink:#1c1c1c;--soft:#5c5c5c;--paper:#fff;--rule:#d4d4d4;--axis:#808080;--lead:#f3f5f9;"      \
    "--c1:#0063a0;--c2:#b84e00;--c3:#007a58;--c4:#9c3f78;--c5:#7a6200;--c6:#4a4a4a;"               \
    "--mute:#b9b9b9;--n1:#7f9cc0;--n2:#e0963f;--n3:#b583c9;--n4:#59ab8e"
#define VA_STYLE_DARK                                                                              \
    "--ink:#e8e8e8;--soft:#ababab;--paper:#15171a;--rule:#3c3f44;--axis:#8a8a8a;--lead:#1f2329;"   \
    "--c1:#66b7ec;--c2:#f59a5b;--c3:#3fc49c;--c4:#e296c4;--c5:#d8c04a;--c6:#c9c9c9;"               \
    "--mute:#55595f;--n1:#5c7ba3;--n2:#b9752b;--n3:#8f62a3;--n4:#3f8a70"

static const char style[] =
    ":root{color-scheme:light dark;" VA_STYLE_LIGHT "}"
    "@media(prefers-color-scheme:dark){:root{" VA_STYLE_DARK "}}"
    "@media print{:root{" VA_STYLE_LIGHT
    "}body{max-width:none}table{display:table;font-size:.7rem}figure,tr{break-inside:avoid}}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;"
    "color:var(--ink);background:var(--paper)}h1,h2,h3{line-height:1.25}h2{margin-top:2.4rem;"
    "border-top:1px solid var(--rule);padding-top:1rem}h3{margin:1.6rem 0 .4rem}"
    "a{color:var(--c1)}p{max-width:52rem}"
    "p.lead{background:var(--lead);border-left:4px solid var(--c1);padding:.5rem 1rem;"
    "max-width:none}"
    "p.warn{border-left:4px solid var(--c2);padding:.1rem 1rem;max-width:none}"
    "table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto;font-size:.88rem}"
    "th,td{padding:.22rem .55rem;text-align:left;border-bottom:1px solid var(--rule);"
    "vertical-align:top}th{border-bottom:2px solid var(--axis);vertical-align:bottom}"
    ".r{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "th.r{white-space:normal}.w{min-width:18rem}"
    "blockquote{border-left:4px solid var(--rule);margin:1rem 0;padding:.2rem 1rem;"
    "color:var(--soft)}figure{margin:1.2rem 0}"
    "figcaption{color:var(--soft);font-size:.9rem;max-width:46rem}"
    "svg{max-width:100%;height:auto;font:13px system-ui,sans-serif;fill:var(--ink)}"
    "svg .s{fill:var(--soft)}svg .axis{stroke:var(--axis);fill:none}"
    "svg .grid{stroke:var(--rule);fill:none}svg .zero{stroke:var(--axis);stroke-dasharray:2 3}"
    "svg .bar{stroke:var(--ink);stroke-width:1.5;fill:none}svg .at{stroke:var(--ink);opacity:.45}"
    "svg .yes{fill:var(--c2);stroke:var(--c2);stroke-width:1.6}"
    "svg .no{fill:var(--paper);stroke:var(--c2);stroke-width:1.6}"
    "svg .mean{fill:var(--ink);stroke:var(--paper)}"
    "svg .bin{fill:var(--n1)}"
    "svg .n1,svg .n2,svg .n3,svg .n4{stroke-width:1}"
    "svg .n1{fill:var(--n1);stroke:var(--n1)}"
    "svg .n2{fill:var(--n2);fill-opacity:.35;stroke:var(--n2)}"
    "svg .n3{fill:var(--n3);fill-opacity:.2;stroke:var(--n3);stroke-dasharray:5 2}"
    "svg .n4{fill:none;stroke:var(--n4);stroke-width:1.5;stroke-dasharray:1.5 2}"
    "svg .band.n1{fill-opacity:.3;stroke:none}svg .band.n2{fill-opacity:.14}"
    "svg .band.n3{fill-opacity:.08}"
    "svg .l{fill:none;stroke-width:2}"
    "svg .k1{stroke:var(--c1)}svg .k2{stroke:var(--c2)}svg .k3{stroke:var(--c3)}"
    "svg .k4{stroke:var(--c4)}svg .k5{stroke:var(--c5)}svg .k6{stroke:var(--c6)}"
    "svg .k0{stroke:var(--mute);stroke-width:1}"
    "svg .f1{fill:var(--c1)}svg .f2{fill:var(--c2)}svg .f3{fill:var(--c3)}"
    "svg .f4{fill:var(--c4)}svg .f5{fill:var(--c5)}svg .f6{fill:var(--c6)}svg .f0{fill:var(--mute)}"
    "svg .hollow{fill:var(--paper)}svg .d{stroke-dasharray:7 3}";

#endif
