"use strict";
// Words of the viewer in each language; `{}` is where a value goes.
const WORDS = {
  en: {
    language: "Français", annual: "Years", monthly: "Months", daily: "Days", record: "Trend", zone: "Zones", mean: "mean of the draws", sd: "standard deviation of the draws", share: "share of the draws above zero, without structural error",
    value: "Mean", spread: "Uncertainty (sd)", run: "Run", layer: "Layer", period: "Period", date: "Date", show: "Show",
    compare: "Compare", none: "one map", swipe: "swipe", difference: "difference", with: "with", same: "same date", others: "mean of the other years",
    hatch: "Hatch where the sign is not sure", hatched: "hatched: the sign is not sure, zero lies between the 5 % and 95 % quantiles of the draws",
    hatchedSd: "hatched: |mean| below 1.645 sd, the sign is not sure", uptake: "negative: uptake by the land", release: "positive: release to the atmosphere",
    moreUptake: "negative: more uptake", lessUptake: "positive: less uptake", uptakeGrows: "negative: uptake grows", uptakeFalls: "positive: uptake falls", less: "negative: less", more: "positive: more",
    falls: "negative: falls", grows: "positive: grows", allFall: "all fall", allRise: "all rise",
    lower: "{} lower", higher: "{} higher", play: "Play", pause: "Pause", whole: "Whole map", draw: "Draw a polygon", finish: "Finish the polygon", cancel: "Cancel",
    png: "Save as PNG", gpkg: "Polygons as GeoPackage", help: "Keys", close: "Close", click: "Click on the map to read a pixel.", pixel: "Pixel", row: "row {}, column {}",
    nothing: "No flux is mapped at this pixel.", reading: "Reading …", zoneOf: "Zone {}", noZone: "This pixel lies in no zone with totals, or the region store is not there.",
    total: "Total", area: "{} ha", course: "Months, mean and 5 % to 95 % of the sums per draw, gC m⁻² d⁻¹", anomaly: "{}, minus the mean of all whole years", interval: "5 % to 95 %", band: "line: mean of the draws; band: 5 % to 95 % of the draws",
    bandSd: "line: mean of the draws; band: mean ± 1 sd", polygon: "Polygon {}", working: "Mapping its pixels again with the draws of the run: {} of {} tiles …",
    drawHint: "Click the corners of the polygon; double-click, p or “Finish the polygon” ends it, Esc leaves it. Enter sets a corner in the middle of the map.",
    notExact: "Difference of two means, without an interval; of two runs of the same draws, draw a polygon to have one.",
    perDraw: "Interval of sums made per draw, with the same draws in every pixel.", spreadOf: "Spread: {}", credit: "Credit: {}", paired: "Made draw by draw: both runs share their draws, so that the interval holds only what differs between them.",
    offline: "Static page: polygons and zones need `hybridflux view`.",
    overview: "1:{} overview, a pixel shown is {} m", exact: "full resolution, {} m", north: "grid north", noOther: "There is no such date to compare with.", zoomIn: "zoom in for the hatching", failed: "Not to be had: {}", loading: "Loading {} tiles …",
    incomplete: "This run is not finished; what is not mapped yet is empty.", zonesOf: "{} of each zone, sum per draw over its area", loss: "negative: loss of the land", gain: "positive: gain of the land", cumulative: "{}, cumulated", unknown: "not known", variable: "Flux", sign: "NEE = RECO − GPP, positive to the atmosphere",
    keys: [["arrows", "pan"], ["+ −", "zoom"], ["0", "whole map"], [", .", "date before, after"], ["space", "play"], ["1 … 9", "layer"], ["u", "mean or uncertainty"], ["y m d t", "years, months, days, trend"],
      ["c", "one map, swipe, difference"], ["[ ]", "move the swipe"], ["h", "hatching"], ["Enter", "read the middle pixel; corner of a polygon"], ["p", "polygon; again: finish"], ["Esc", "leave"], ["s", "PNG"], ["l", "language"], ["?", "these keys"]],
  },
  fr: {
    language: "English", annual: "Années", monthly: "Mois", daily: "Jours", record: "Tendance", zone: "Zones", mean: "moyenne des tirages", sd: "écart-type des tirages", share: "part des tirages au-dessus de zéro, sans erreur structurelle",
    value: "Moyenne", spread: "Incertitude (écart-type)", run: "Simulation", layer: "Couche", period: "Période", date: "Date", show: "Afficher",
    compare: "Comparer", none: "une carte", swipe: "volet", difference: "différence", with: "avec", same: "même date", others: "moyenne des autres années",
    hatch: "Hachurer où le signe est incertain", hatched: "hachuré : signe incertain, zéro est entre les quantiles 5 % et 95 % des tirages",
    hatchedSd: "hachuré : |moyenne| inférieure à 1,645 écart-type, signe incertain", uptake: "négatif : absorption par la terre", release: "positif : émission vers l’atmosphère",
    moreUptake: "négatif : plus d’absorption", lessUptake: "positif : moins d’absorption", uptakeGrows: "négatif : l’absorption augmente", uptakeFalls: "positif : l’absorption diminue", less: "négatif : moins", more: "positif : plus",
    falls: "négatif : diminue", grows: "positif : augmente", allFall: "toutes en baisse", allRise: "toutes en hausse",
    lower: "{} plus faible", higher: "{} plus forte", play: "Lire", pause: "Pause", whole: "Carte entière", draw: "Dessiner un polygone", finish: "Terminer le polygone", cancel: "Annuler",
    png: "Enregistrer en PNG", gpkg: "Polygones en GeoPackage", help: "Touches", close: "Fermer", click: "Cliquez sur la carte pour lire un pixel.", pixel: "Pixel", row: "ligne {}, colonne {}",
    nothing: "Aucun flux n’est cartographié à ce pixel.", reading: "Lecture …", zoneOf: "Zone {}", noZone: "Ce pixel n’appartient à aucune zone avec totaux, ou les données de la région sont absentes.",
    total: "Total", area: "{} ha", course: "Mois, moyenne et 5 % à 95 % des sommes par tirage, gC m⁻² d⁻¹", anomaly: "{}, moins la moyenne de toutes les années entières", interval: "5 % à 95 %", band: "ligne : moyenne des tirages ; bande : 5 % à 95 % des tirages",
    bandSd: "ligne : moyenne des tirages ; bande : moyenne ± 1 écart-type", polygon: "Polygone {}", working: "Ses pixels sont recalculés avec les tirages de la simulation : {} tuiles sur {} …",
    drawHint: "Cliquez les sommets du polygone ; double-clic, p ou « Terminer le polygone » le ferme, Échap l’abandonne. Entrée pose un sommet au centre de la carte.",
    notExact: "Différence de deux moyennes, sans intervalle ; pour deux simulations de mêmes tirages, un polygone le donne.",
    perDraw: "Intervalle de sommes faites tirage par tirage, les mêmes tirages dans chaque pixel.", spreadOf: "Dispersion : {}", credit: "Sources : {}", paired: "Faite tirage par tirage : les deux simulations partagent leurs tirages, l’intervalle ne contient que ce qui les distingue.",
    offline: "Page statique : polygones et zones demandent `hybridflux view`.",
    overview: "aperçu 1:{}, un pixel affiché mesure {} m", exact: "pleine résolution, {} m", north: "nord de la grille", noOther: "Aucune date correspondante à comparer.", zoomIn: "zoomez pour les hachures", failed: "Impossible : {}", loading: "Chargement de {} tuiles …",
    incomplete: "Cette simulation n’est pas terminée ; ce qui n’est pas encore cartographié est vide.", zonesOf: "{} de chaque zone, somme par tirage sur sa surface", loss: "négatif : perte de la terre", gain: "positif : gain de la terre", cumulative: "{}, cumulé", unknown: "inconnu", variable: "Flux", sign: "NEE = RECO − GPP, positif vers l’atmosphère",
    keys: [["flèches", "déplacer"], ["+ −", "zoom"], ["0", "carte entière"], [", .", "date précédente, suivante"], ["espace", "lire"], ["1 … 9", "couche"], ["u", "moyenne ou incertitude"], ["y m d t", "années, mois, jours, tendance"],
      ["c", "une carte, volet, différence"], ["[ ]", "déplacer le volet"], ["h", "hachures"], ["Entrée", "lire le pixel central ; sommet d’un polygone"], ["p", "polygone ; encore : terminer"], ["Échap", "quitter"], ["s", "PNG"], ["l", "langue"], ["?", "ces touches"]],
  },
};
// Words at the two ends of the scale of a layer, or of all that are compared in one way.
const ENDS = {NEE: ["uptake", "release"], NEE_anomaly: ["moreUptake", "lessUptake"], NEE_trend: ["uptakeGrows", "uptakeFalls"], anomaly: ["less", "more"], trend: ["falls", "grows"], trend_rising: ["allFall", "allRise"]};
let language = (navigator.language || "en").startsWith("fr") ? "fr" : "en";
const word = (name, ...values) => values.reduce((text, value) => text.replace("{}", () => value), WORDS[language][name] ?? name);
const raised = text => text.replace(/([a-zA-Z])(-?)([1-9])\b/g, (_, unit, minus, digit) => unit + (minus ? "⁻" : "") + "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);
const signed = (value, digits) => (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).toLocaleString(language, {minimumFractionDigits: digits, maximumFractionDigits: digits}).replace("-", "−");
const digitsOf = size => Math.max(0, Math.min(6, Math.ceil(2 - Math.log10(size || 1))));
// Decimals that a step of a scale needs.
const decimals = step => { for (let n = 0; n < 7; n++) if (Math.abs(Math.round(step * 10 ** n) / 10 ** n - step) < 1e-6 * step) return n; return digitsOf(step); };
// The next round number, for the end of a scale.
const roundedUp = value => { const power = 10 ** Math.floor(Math.log10(value)); return [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 4.8, 6, 8, 10].map(f => +(f * power).toPrecision(6)).find(v => v >= value * (1 - 1e-9)); };
