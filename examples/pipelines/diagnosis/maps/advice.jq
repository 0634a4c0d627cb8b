# From a finding and two opinions to one recommendation. Rules come first: what a patient must not be given is not left to a model.
# Input: {valid: finding, first: suggestion, second: suggestion}
.valid as $f | .first as $a | .second as $b |
($a.actions // []) as $actions |
([$actions[] | .drug | strings]) as $drugs |
{
  id: ($f.id // ""),
  patient: ($f.patient // ""),
  icd10: ($a.icd10 // "unknown"),
  agreed: ($a.icd10 == $b.icd10),
  confidence: ([$a.confidence // 0, $b.confidence // 0] | min // 0),
  actions: $actions,
  warnings: (
    [($f.allergies // [])[] | select(. as $allergy | any($drugs[]; . == $allergy)) | "allergic to \(.)"]
    + [($f.pregnant // false) | select(.) | select(any($drugs[]; . == "methotrexate" or . == "warfarin")) | "pregnant: not this drug"]
    + [select($a.icd10 != $b.icd10) | "the second opinion is \($b.icd10)"]),
  evidence: ($a.evidence // "")
}
