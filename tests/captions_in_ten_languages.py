"""One caption in ten languages and eight scripts, with the capitals that a writer would give it."""

CAPTIONS = {
    "Arabic": "رجلٌ يركب دراجة في المدينة",
    "Chinese": "一个男人骑着自行车穿过城市",
    "English": "A man rides a bicycle through the City",
    "French": "Un homme traverse la ville à vélo",
    "German": "Ein Mann fährt mit dem Fahrrad durch die Stadt",
    "Hindi": "एक आदमी शहर में साइकिल चला रहा है",
    "Japanese": "男の人が自転車で街を走っている",
    "Korean": "한 남자가 자전거를 타고 도시를 달린다",
    "Russian": "Мужчина едет на велосипеде по городу",
    "Thai": "ผู้ชายขี่จักรยานผ่านเมือง",
}
