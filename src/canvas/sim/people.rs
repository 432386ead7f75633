//! The people: invented names, logins, circumstances, and the latent traits that determine their behaviour.
//!
//! A place at the institution is held by one student for three years and then by the next, so the place and the term
//! alone say who is there. A few students have global ids beyond 2^53, several of them neighbours, so that code which
//! reads an id as a float confuses them. Circumstances shift ability a little, so that the fairness audit has something
//! to find.

use super::random::Dice;

/// How many terms a student stays enrolled.
const TERMS_OF_STUDY: i64 = 9;
/// The global ids of another shard begin here, beyond what a float holds exactly.
const GLOBAL_IDS: i64 = 10_970_000_000_000_000;

/// Someone with a user account.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// The user's id.
    pub(super) user_id: i64,
    /// The id of the login, for all but test students.
    pub(super) pseudonym_id: Option<i64>,
    /// The given name, in the person's own script.
    pub(super) given_name: &'static str,
    /// The family name, in the person's own script.
    pub(super) family_name: &'static str,
    /// The login, which looks like an e-mail address.
    pub(super) login: String,
    /// The registrar's id.
    pub(super) sis_id: String,
    /// The term before which the account was made.
    pub(super) first_term: i64,
    /// How many days before that term.
    pub(super) account_lead_days: i64,
    /// How easily the person learns, a standard normal.
    pub(super) ability: f64,
    /// How steadily the person works, a standard normal.
    pub(super) diligence: f64,
    /// The person's circumstances.
    pub(super) circumstances: Circumstances,
}

/// The attributes that the fairness audit examines.
#[derive(Debug, Clone)]
pub(super) struct Circumstances {
    pub(super) gender: &'static str,
    pub(super) region: &'static str,
    pub(super) education: &'static str,
    pub(super) deprivation_band: Option<&'static str>,
    pub(super) age_band: &'static str,
    pub(super) disability: &'static str,
    pub(super) studied_credits: i64,
}

/// Returns the student who holds `place` in `term`; there are `places` in all.
pub(super) fn student(seed: u64, places: i64, place: i64, term: i64) -> Person {
    let phase = Dice::new(seed, "place", &[place]).whole(0, TERMS_OF_STUDY - 1);
    let generation = (term + phase) / TERMS_OF_STUDY;
    let number = generation * places + place;
    let mut dice = Dice::new(seed, "student", &[number]);
    let base = if (14..=16).contains(&(number % 100)) { GLOBAL_IDS } else { 10_000 };
    let person = draw_person(&mut dice, base + number, Some(300_000 + number));
    Person {
        first_term: (generation * TERMS_OF_STUDY - phase).max(0),
        ability: 0.95 * dice.normal() + head_start(&person.circumstances),
        diligence: dice.normal(),
        ..person
    }
}

/// Returns the user id of the teacher of a subject.
pub(super) fn teacher_id(subject: i64) -> i64 {
    500 + subject
}

/// Returns the teacher of a subject.
pub(super) fn teacher(seed: u64, subject: i64) -> Person {
    draw_person(&mut Dice::new(seed, "teacher", &[subject]), teacher_id(subject), Some(200_000 + subject))
}

/// Returns the fake student as which a teacher views a course of `term`.
pub(super) fn test_student(seed: u64, course_id: i64, term: i64) -> Person {
    let person = draw_person(&mut Dice::new(seed, "test student", &[course_id]), 5_000_000 + course_id, None);
    Person { given_name: "Test", family_name: "Student", first_term: term, ..person }
}

/// Returns a person of average traits whose account was made before the first term.
fn draw_person(dice: &mut Dice, user_id: i64, pseudonym_id: Option<i64>) -> Person {
    let (given_name, given_ascii) = dice.pick(&GIVEN_NAMES);
    let (family_name, family_ascii) = dice.pick(&FAMILY_NAMES);
    let number = pseudonym_id.unwrap_or(user_id);
    Person {
        user_id,
        pseudonym_id,
        given_name,
        family_name,
        login: format!("{given_ascii}.{family_ascii}.{number}@lakeport.example"),
        sis_id: format!("LP{number:08}"),
        first_term: 0,
        account_lead_days: dice.whole(75, 140),
        ability: 0.0,
        diligence: 0.0,
        circumstances: circumstances(dice),
    }
}

fn circumstances(dice: &mut Dice) -> Circumstances {
    let known_band = !dice.chance(0.04);
    let band = dice.pick(&DEPRIVATION_BANDS);
    Circumstances {
        gender: if dice.chance(0.54) { "F" } else { "M" },
        region: dice.pick(&REGIONS),
        education: dice.pick(&EDUCATION),
        deprivation_band: known_band.then_some(band),
        age_band: if dice.chance(0.72) {
            "0-35"
        } else if dice.chance(0.95) {
            "35-55"
        } else {
            "55<="
        },
        disability: if dice.chance(0.09) { "Y" } else { "N" },
        studied_credits: dice.pick(&[30, 60, 60, 60, 90, 120]),
    }
}

/// Returns by how much circumstances shift the mean of ability.
fn head_start(circumstances: &Circumstances) -> f64 {
    let education = match circumstances.education {
        "Lower Than A Level" => -0.3,
        "HE Qualification" => 0.2,
        _ => 0.0,
    };
    let band = if circumstances.deprivation_band.is_some_and(|band| band <= "20-30%") { -0.2 } else { 0.05 };
    education + band
}

const REGIONS: [&str; 6] = ["North Shore", "Harbour", "Old Town", "Uplands", "River Counties", "Abroad"];
const EDUCATION: [&str; 5] =
    ["A Level or Equivalent", "A Level or Equivalent", "Lower Than A Level", "Lower Than A Level", "HE Qualification"];
const DEPRIVATION_BANDS: [&str; 10] =
    ["0-10%", "10-20%", "20-30%", "30-40%", "40-50%", "50-60%", "60-70%", "70-80%", "80-90%", "90-100%"];
const GIVEN_NAMES: [(&str, &str); 32] = [
    ("Zoë", "zoe"),
    ("Łucja", "lucja"),
    ("José", "jose"),
    ("Amélie", "amelie"),
    ("Nguyệt", "nguyet"),
    ("小雨", "xiaoyu"),
    ("Олена", "olena"),
    ("Þóra", "thora"),
    ("Aoife", "aoife"),
    ("Søren", "soeren"),
    ("محمود", "mahmoud"),
    ("अनीता", "anita"),
    ("Marisol", "marisol"),
    ("Desmond", "desmond"),
    ("Ingrid", "ingrid"),
    ("Kwabena", "kwabena"),
    ("さくら", "sakura"),
    ("지우", "jiwoo"),
    ("Ελένη", "eleni"),
    ("Çağla", "cagla"),
    ("Mireille", "mireille"),
    ("Thaddeus", "thaddeus"),
    ("Winona", "winona"),
    ("Ottokar", "ottokar"),
    ("Philippa", "philippa"),
    ("Leocadia", "leocadia"),
    ("Jān", "jan"),
    ("Rhiannon", "rhiannon"),
    ("Babajide", "babajide"),
    ("Sunniva", "sunniva"),
    ("Cornelius", "cornelius"),
    ("Maëlys", "maelys"),
];
const FAMILY_NAMES: [(&str, &str); 32] = [
    ("Brzęczyk", "brzeczyk"),
    ("O’Mahoney", "omahoney"),
    ("Ångström-Lund", "angstromlund"),
    ("Núñez Peña", "nunezpena"),
    ("Trần", "tran"),
    ("欧阳", "ouyang"),
    ("Шевчук", "shevchuk"),
    ("Jónsdóttir", "jonsdottir"),
    ("Featherstonehaugh", "featherstonehaugh"),
    ("al-Khaṭīb", "alkhatib"),
    ("Müßiggang", "muessiggang"),
    ("Okonkwo-Reyes", "okonkworeyes"),
    ("山田", "yamada"),
    ("박", "park"),
    ("Παπαδάκη", "papadaki"),
    ("Yıldırım", "yildirim"),
    ("van der Zwaluw", "vanderzwaluw"),
    ("Quattlebaum", "quattlebaum"),
    ("D'Agostini", "dagostini"),
    ("Whitlocke", "whitlocke"),
    ("Iyer", "iyer"),
    ("Nakai", "nakai"),
    ("Černý", "cerny"),
    ("Ó Briain", "obriain"),
    ("Lefèvre", "lefevre"),
    ("Tshabalala", "tshabalala"),
    ("Szabó", "szabo"),
    ("Grünewald", "gruenewald"),
    ("Mac Giolla", "macgiolla"),
    ("Öztürk", "oeztuerk"),
    ("Halloran", "halloran"),
    ("Bergström", "bergstroem"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_place_is_held_by_one_student_at_a_time_and_then_by_the_next() {
        let ids: Vec<i64> = (0..30).map(|term| student(1, 50, 7, term).user_id).collect();

        assert!(ids.is_sorted());
        assert!((3..=5).contains(&ids.iter().collect::<BTreeSet<_>>().len()));
    }

    #[test]
    fn some_global_ids_are_equal_as_floats_and_differ_as_integers() {
        let ids: BTreeSet<i64> = (0..100).map(|place| student(1, 100, place, 0).user_id).collect();
        let floats: BTreeSet<String> = ids.iter().map(|id| format!("{}", *id as f64)).collect();

        assert_eq!(ids.len(), 100);
        assert!(floats.len() < ids.len());
    }
}
